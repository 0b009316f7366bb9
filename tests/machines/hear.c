/* SPDX-License-Identifier: AGPL-3.0-or-later
 * hear SOCKET TEXT: connects to a UNIX socket and reads until the text has come. Fails when nothing comes for five minutes,
 * or the socket closes. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char heard[4096] = "";
    size_t length = 0;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = 300};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (argc != 3 || strlen(argv[1]) >= sizeof address.sun_path)
        return 2;
    strcpy(address.sun_path, argv[1]);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        perror(argv[1]);
        return 1;
    }
    while (length < sizeof heard - 1) {
        ssize_t n = read(fd, heard + length, sizeof heard - 1 - length);
        if (n <= 0)
            return 1;
        length += (size_t)n;
        heard[length] = '\0';
        if (strstr(heard, argv[2])) {
            printf("heard %s\n", argv[2]);
            return 0;
        }
    }
    return 1;
}
