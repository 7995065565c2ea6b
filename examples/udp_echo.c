/* SPDX-License-Identifier: MIT */
/* Sends every datagram back to where it came from.
 *
 *     example-udp_echo [ADDRESS]        default 127.0.0.1:7000; port 0: any
 */
#include <ouro.h>
#include <stdio.h>

static int echo(void *arg)
{
    char buf[65536], text[OURO_ADDR_STRLEN] = "";
    struct ouro_addr from, addr, *to = arg;
    ouro_conn conn;
    ssize_t n = ouro_datagram_bind(&conn, to, NULL);

    if (n < 0)
        return (int)n;
    if (ouro_local_addr(conn, &addr) == 0 && ouro_addr_format(&addr, text, sizeof text) > 0)
        printf("listening on %s\n", text);
    fflush(stdout);
    while ((n = ouro_recv_from(conn, buf, sizeof buf, &from)) >= 0)
        (void)ouro_send_to(conn, buf, (size_t)n, &from); /* may be lost, as any datagram */
    ouro_close(conn);
    return n == -ECANCELED ? 0 : (int)n;
}

int main(int argc, char **argv)
{
    struct ouro_options o = {.size = sizeof o, .shards = 1, .stack_bytes = 256 << 10};
    struct ouro_addr addr;
    int value = 0;

    if (ouro_addr_parse(&addr, argc > 1 ? argv[1] : "127.0.0.1:7000", NULL) != 0)
        return 2;
    return ouro_run(&o, echo, &addr, &value) != 0 || value < 0;
}
