/* SPDX-License-Identifier: MIT */
/* Ouro: an io_uring-native, thread-per-core runtime. This header is all of it; each part can be
 * included alone. Start reading at ouro/runtime.h and ouro/task.h. */
#ifndef OURO_H
#define OURO_H

#include <ouro/base.h>
#include <ouro/error.h>
#include <ouro/addr.h>
#include <ouro/future.h>
#include <ouro/task.h>
#include <ouro/timer.h>
#include <ouro/runtime.h>
#include <ouro/call.h>
#include <ouro/poll.h>
#include <ouro/promise.h>
#include <ouro/net.h>
#include <ouro/datagram.h>
#include <ouro/file.h>
#include <ouro/fs.h>
#include <ouro/msg.h>
#include <ouro/raw.h>
#include <ouro/parse.h>
#include <ouro/privileges.h>
#include <ouro/probe.h>
#include <ouro/topology.h>

#endif
