#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# share/seccomp.json, the profile for containers: everything that the runtime and the tools do is
# allowed, new namespaces, mounts and other processes' memory are not; without the io_uring calls
# the tools say what is missing.
set -uo pipefail
profile=$OURO_SOURCE/share/seccomp.json
run=$OURO_SOURCE/tests/tools/seccomp_run.py
out=$(mktemp)
trap 'rm -f "$out"' EXIT
failed=0

# They trace and look into /proc in ways that no service does.
[ "${OURO_SANITIZE:-none}" = none ] || exit 77

"$run" "$profile" -- true
status=$?
[ "$status" -ne 77 ] || { echo "python3-seccomp is missing: tools/setup installs it"; exit 77; }
[ "$status" -eq 0 ] || { echo "FAILED: true under the profile: status $status"; exit 1; }

allowed()
{
    { timeout -k 5 60 "$run" "$profile" -- "$@" >"$out" 2>&1; } 2>/dev/null && return
    printf 'FAILED under the profile: %s\n' "$*"
    tail -n 5 "$out"
    failed=1
}

refused()
{
    if timeout -k 5 60 "$run" "$profile" -- "$@" >"$out" 2>&1; then
        printf 'FAILED: allowed under the profile: %s\n' "$*"
        failed=1
    fi
}

allowed "$OURO_BIN/ouro-probe"
for test in kernel/test_runtime_start kernel/test_runtime_idle kernel/test_listen_accept \
    kernel/test_listen_unix kernel/test_net_echo kernel/test_file_rw kernel/test_fs_names \
    kernel/test_datagram_exchange kernel/test_msg_fds kernel/test_signal_stop kernel/test_mesh_wake \
    kernel/test_poll_ready stress/test_proxy_relay; do
    [ -x "$OURO_BUILD/tests/$test" ] || { echo "FAILED: there is no test $test"; failed=1; continue; }
    allowed "$OURO_BUILD/tests/$test"
done
refused unshare --user true
refused mount -t tmpfs none /mnt
refused chrt --fifo 1 true

for call in io_uring_setup io_uring_enter io_uring_register; do
    timeout -k 5 60 "$run" --without "$call" "$profile" -- \
        "$OURO_BIN/ouro-echo" --listen 127.0.0.1:0 >"$out" 2>&1
    status=$?
    if [ "$status" -eq 0 ] || [ "$status" -eq 124 ] || ! grep -q 'seccomp' "$out"; then
        printf 'FAILED: without %s: status %s\n' "$call" "$status"
        cat "$out"
        failed=1
    fi
done
exit "$failed"
