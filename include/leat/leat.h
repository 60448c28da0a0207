/*
 * leat - an M:N work-stealing coroutine runtime for C servers. This header brings all the others.
 */
#ifndef LEAT_LEAT_H
#define LEAT_LEAT_H

#include <leat/base.h>
#include <leat/blocking.h>
#include <leat/chan.h>
#include <leat/dump.h>
#include <leat/file.h>
#include <leat/flight.h>
#include <leat/go.h>
#include <leat/io.h>
#include <leat/local.h>
#include <leat/net.h>
#include <leat/process.h>
#include <leat/resolve.h>
#include <leat/run.h>
#include <leat/scope.h>
#include <leat/select.h>
#include <leat/signal.h>
#include <leat/stats.h>
#include <leat/sync.h>
#include <leat/time.h>
#include <leat/timer.h>

#endif
