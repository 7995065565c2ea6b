#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Tests of sockets, files, timers and stops on rings that are restricted to what the runtime
# uses: nothing that it uses is missing from the list.
set -uo pipefail
failed=0 n=0
export OURO_RESTRICT_RING=1

# One of each kind of operation.
for name in net_echo conn_send_all conn_zero_copy conn_half_close conn_options conn_connect connect_source \
    conn_adopt close_in_flight listen_accept listen_unix listen_close recv_source_stream \
    datagram_exchange datagram_source msg_fds msg_control file_rw file_open file_stream fs_names \
    fs_size fs_stat fs_whole fs_temp poll_ready poll_source promise_remote signal_wait timer_cancel \
    runtime_stop; do
    test=$OURO_BUILD/tests/kernel/test_$name
    [ -x "$test" ] || { printf 'FAILED: there is no test %s\n' "$name"; failed=1; continue; }
    status=0
    { timeout -k 5 60 "$test" >/dev/null 2>"$OURO_BUILD/restricted.err"; } 2>/dev/null || status=$?
    n=$((n + 1))
    [ "$status" = 0 ] || [ "$status" = 77 ] && continue
    printf 'FAILED: %s on a restricted ring: status %s\n' "$name" "$status"
    tail -n 5 "$OURO_BUILD/restricted.err"
    failed=1
done
printf '%d tests on restricted rings\n' "$n"
exit "$failed"
