#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The resource agent ocf:mdcluster:mdcluster, called as pacemaker does, with a real daemon.
. "$(dirname "$0")/functions.sh"
own_network "$0"
. "$(dirname "$0")/daemon-functions.sh"
need sh sed

sed "s,@sbindir@,$builddir,g" "$srcdir/tools/system/ocf/mdcluster.in" >agent
export OCF_ROOT=$PWD/no-ocf OCF_RESKEY_run_dir=$PWD/run.1 OCF_RESKEY_array=web
# gives CODE ACTION: the agent ends so
gives() {
  local code=0
  sh agent "$2" >said 2>&1 || code=$?
  expect_equal "$2 ($(tr '\n' ' ' <said))" "$1" "$code"
}

# --- what it is -------------------------------------------------------------------------------
gives 0 meta-data
if command -v python3 >/dev/null; then
  python3 -c 'import sys, xml.dom.minidom as m
d = m.parse(sys.argv[1])
print(" ".join(p.getAttribute("name") for p in d.getElementsByTagName("parameter")))
print(" ".join(a.getAttribute("name") for a in d.getElementsByTagName("action")))' said >xml ||
    fail "the meta-data are no XML"
  # each parameter that it reads is told of, and no other
  expect_equal "parameters" "$(grep -o 'OCF_RESKEY_[a-z_]*' agent | sed 's/OCF_RESKEY_//' | sort -u | tr '\n' ' ')" \
    "$(sed -n 1p xml | tr ' ' '\n' | sort | tr '\n' ' ')"
  expect_equal "actions" "start stop monitor validate-all meta-data" "$(sed -n 2p xml)"
fi
gives 3 promote
gives 0 validate-all
OCF_RESKEY_array='' gives 6 validate-all
OCF_RESKEY_array=../web gives 6 monitor
gives 0 usage

# --- no daemon: nothing runs, and nothing starts -----------------------------------------------
gives 7 monitor
gives 0 stop
gives 1 start

# --- a life --------------------------------------------------------------------------------------
make_array web a.img b.img --nodes=4 --assume-clean
configure 1 "array web { disks = { \"$PWD/a.img\", \"$PWD/b.img\" } auto = no }"
start 1
ring_of 1
gives 7 monitor
OCF_RESKEY_array=shop gives 7 monitor
OCF_RESKEY_array=shop gives 1 start
gives 0 stop
gives 0 start
gives 0 monitor
gives 0 start # twice is fine
OCF_RESKEY_attach=true gives 1 monitor
mdcluster fail --run-dir=run.1 web 1
await "web is not degraded" shows 1 '.status // . | .arrays[0].disks_in_sync' 1
gives 0 monitor # it still runs
gives 0 stop
gives 7 monitor
gives 0 stop

# --- one that is tried in vain is stopped, too ------------------------------------------------------
rm a.img b.img
make_array web a.img b.img --nodes=4 --assume-clean
mv b.img away.img
sed -i 's/auto = no/auto = yes/' c.1
mdcluster reload --run-dir=run.1 >/dev/null
mdcluster assemble --quiet --run-dir=run.1 web 2>/dev/null && fail "it starts without a disk"
gives 7 monitor
gives 0 stop
shows 1 '.status // . | .arrays[0] | "\(.state) \(.is_stopped)"' "down true" || fail "it is still tried after a stop"

# --- clients are in the way of a stop, unless by force -----------------------------------------------
mv away.img b.img
gives 0 start
if command -v qemu-io >/dev/null; then
  mkfifo keep
  qemu-io -f raw "nbd+unix:///web?socket=$PWD/run.1/web.nbd" <keep >client.out 2>&1 &
  client=$!
  exec 9>keep
  await "the client does not come" shows 1 '.status // . | .arrays[0].clients' 1
  gives 1 stop
  gives 0 monitor
  OCF_RESKEY_force_stop=true gives 0 stop
  exec 9>&-
  wait "$client" || :
else
  gives 0 stop
fi
gives 7 monitor
kill -KILL "$(engine_of 1)" "${pid_of[1]}"
finished 1
gives 7 monitor
gives 0 stop
