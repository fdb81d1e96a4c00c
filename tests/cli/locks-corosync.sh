#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# ring-locks.sh on a real corosync: who holds and who waits, and what a death leaves.
command -v corosync >/dev/null || { echo "no corosync here"; exit 77; }
case $("${builddir:-.}/mdcluster" version 2>/dev/null) in
  *-corosync*) echo "built without corosync"; exit 77 ;;
esac
MDC_TEST_ENGINE=corosync exec bash "$(dirname "$0")/ring-locks.sh"
