#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Stories of array-processes.sh on a real corosync: an engine that is killed, a host, corosync
# under a daemon, which dies and which hangs, a node that is stopped and goes on.
#
#	MDC_TEST_ENGINE=corosync array-processes.sh       all of them
command -v corosync >/dev/null || { echo "no corosync here"; exit 77; }
case $("${builddir:-.}/mdcluster" version 2>/dev/null) in
  *-corosync*) echo "built without corosync"; exit 77 ;;
esac
MDC_TEST_ENGINE=corosync exec bash "$(dirname "$0")/array-processes.sh" engine node corosync hung stopped
