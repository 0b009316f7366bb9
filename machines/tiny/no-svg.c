/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What icewm calls of librsvg, by a library that reads no SVG. The machine has no such icons, and the real one brings
 * Unicode's tables (ICU) and others along, which are a third of an initramfs that each start unpacks. */

void *rsvg_handle_new_from_data(const unsigned char *data, unsigned long length, void **error)
{
    (void)data;
    (void)length;
    (void)error;
    return 0;
}

void rsvg_handle_get_dimensions(void *handle, int *dimensions)
{
    (void)handle;
    dimensions[0] = dimensions[1] = 0; /* width, height */
}

void *rsvg_handle_get_pixbuf(void *handle)
{
    (void)handle;
    return 0;
}

int rsvg_handle_close(void *handle, void **error)
{
    (void)handle;
    (void)error;
    return 1;
}
