/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwd-multipart: reads a form as multipart/form-data (RFC 7578) from standard input, writes it as
 * application/x-www-form-urlencoded (see web/multipart.h). It can open no file and start no program meanwhile. */
#include <gmime/gmime.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/sandbox.h"
#include "web/multipart.h"

#define INPUT_MAX_BYTES (17 * 1024 * 1024) /* the longest that service_max_request_length allows, and its head */

static GByteArray *read_input(void)
{
    g_autoptr(GByteArray) input = g_byte_array_new();
    guint8 buffer[16384];
    ssize_t n;
    while ((n = read(STDIN_FILENO, buffer, sizeof buffer)) > 0 && input->len <= INPUT_MAX_BYTES)
        g_byte_array_append(input, buffer, (guint)n);
    return n == 0 ? g_steal_pointer(&input) : NULL;
}

/* The parser also takes a form that breaks off. */
static bool is_whole(const GByteArray *input, GMimeObject *form)
{
    const char *boundary = g_mime_object_get_content_type_parameter(form, "boundary");
    g_autofree char *end = g_strdup_printf("\n--%s--", boundary ? boundary : "");
    return boundary && memmem(input->data, input->len, end, strlen(end));
}

static GByteArray *content_of(GMimePart *part)
{
    GMimeDataWrapper *content = g_mime_part_get_content(part);
    GMimeStream *stream = g_mime_stream_mem_new();
    g_mime_stream_mem_set_owner(GMIME_STREAM_MEM(stream), FALSE);
    GByteArray *bytes = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(stream));
    if (content)
        g_mime_data_wrapper_write_to_stream(content, stream);
    g_object_unref(stream);
    return bytes;
}

/* Browsers send a part without a name and content for a file that nobody has chosen. */
static MultipartEnd check_file(const char *name, const GByteArray *content)
{
    return !*name && content->len == 0 ? MULTIPART_GOOD : MULTIPART_FILE;
}

static bool is_form_data(GMimeContentDisposition *disposition)
{
    return g_ascii_strcasecmp(g_mime_content_disposition_get_disposition(disposition), "form-data") == 0;
}

static void append_escaped(GString *out, const GByteArray *bytes)
{
    for (guint i = 0; i < bytes->len; i++) {
        if (g_ascii_isalnum(bytes->data[i]))
            g_string_append_c(out, (char)bytes->data[i]);
        else
            g_string_append_printf(out, "%%%02X", bytes->data[i]);
    }
}

static MultipartEnd append_field(GString *out, GMimeObject *part)
{
    GMimeContentDisposition *disposition = g_mime_object_get_content_disposition(part);
    const char *name = disposition ? g_mime_content_disposition_get_parameter(disposition, "name") : NULL;
    if (!GMIME_IS_PART(part) || !name || !*name || !is_form_data(disposition))
        return MULTIPART_MALFORMED;
    g_autoptr(GByteArray) content = content_of(GMIME_PART(part));
    const char *file = g_mime_content_disposition_get_parameter(disposition, "filename");
    if (file)
        return check_file(file, content);
    g_string_append(out, out->len ? "&" : "");
    g_string_append_uri_escaped(out, name, NULL, FALSE);
    g_string_append_c(out, '=');
    append_escaped(out, content);
    return out->len <= MULTIPART_OUTPUT_MAX_BYTES ? MULTIPART_GOOD : MULTIPART_TOO_LARGE;
}

static MultipartEnd append_fields(GString *out, const GByteArray *input, GMimeObject *form)
{
    if (!form || !GMIME_IS_MULTIPART(form) || !is_whole(input, form))
        return MULTIPART_MALFORMED;
    MultipartEnd end = MULTIPART_GOOD;
    int count = g_mime_multipart_get_count(GMIME_MULTIPART(form));
    for (int i = 0; i < count && end == MULTIPART_GOOD; i++)
        end = append_field(out, g_mime_multipart_get_part(GMIME_MULTIPART(form), i));
    return end;
}

static GMimeObject *parse(const GByteArray *input)
{
    GMimeStream *stream = g_mime_stream_mem_new_with_buffer((const char *)input->data, input->len);
    GMimeParser *parser = g_mime_parser_new_with_stream(stream);
    GMimeObject *form = g_mime_parser_construct_part(parser, NULL);
    g_object_unref(parser);
    g_object_unref(stream);
    return form;
}

int main(void)
{
    g_mime_init();
    sandbox_no_files();
    g_autoptr(GByteArray) input = read_input();
    g_autoptr(GString) out = g_string_new(NULL);
    GMimeObject *form = input ? parse(input) : NULL;
    MultipartEnd end = append_fields(out, input, form);
    g_clear_object(&form);
    if (end == MULTIPART_GOOD && (fwrite(out->str, 1, out->len, stdout) != out->len || fflush(stdout) != 0))
        end = MULTIPART_MALFORMED;
    _exit((int)end); /* whoever looks for leaks at the end would open files */
}
