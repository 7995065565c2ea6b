#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Two seams: the kernel's ring is entered through src/ring/kernel.c alone (the simulator takes its
# place there), and memory orders are spelled in src/base/atomic.h alone.
. "$(dirname "$0")/lib.sh"

mapfile -t beyond_kernel < <(files 'src/*.c' 'src/*.h' | grep -vx 'src/ring/kernel.c')
forbid 'only src/ring/kernel.c talks to the kernel about rings' \
    '\b(io_uring_(submit|wait|peek|queue|register|unregister|enter|setup|get_events)\w*|__sys_io_uring\w*)\s*\(|\b__NR_io_uring\w*|\bSYS_io_uring\w*' \
    "${beyond_kernel[@]}"

mapfile -t beyond_atomic < <(files 'src/*.c' 'src/*.h' | grep -vx 'src/base/atomic.h')
forbid 'only src/base/atomic.h spells memory orders' \
    '\bmemory_order_\w+|\b__ATOMIC_\w+|\b__sync_\w+|\batomic_(load|store|exchange|fetch_(add|sub|and|or|xor)|compare_exchange_(weak|strong)|thread_fence|signal_fence)(_explicit)?\s*\(' \
    "${beyond_atomic[@]}"
exit "$failed"
