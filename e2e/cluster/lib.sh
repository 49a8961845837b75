# Shared by the scripts of this folder: where things lie, progress lines, programs that are started and stopped by pid.
# shellcheck shell=bash
# A caller may set PORTCULLIS_STATE (folder of one cluster), PORTCULLIS_CACHE (tools) and PORTCULLIS_NET (first three
# octets of the node's network, to run two clusters with a node beside each other).

cluster_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=$(cd "$cluster_dir/../.." && pwd)
# shellcheck source-path=SCRIPTDIR
. "$repo/e2e/ports.sh"
net=${PORTCULLIS_NET:-198.18.0}
node_ip=$net.1
host_ip=$net.254
nowhere_ip=$net.253 # the default route leads here, where nobody answers: nothing leaves the machine
node_name=portcullis-node
registry=$node_ip:5000
service_cidr=10.96.0.0/16
pod_cidr=10.244.0.0/24

# The programs talk to loopback and to the node only; a proxy of the caller must not get in between.
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy

say() { printf '%s [%3ds] %s\n' "$(date +%T)" "$SECONDS" "$*" >&2; }
die() { say "error: $*"; exit 1; }

use_state() { # $1: folder of the cluster
  state=$1
  # Sockets lie below the folder and a socket's name may have 107 bytes.
  [ "${#state}" -le 60 ] || die "the state folder's name is too long (${#state} bytes, at most 60): $state"
  case $state in /*) ;; *) die "the state folder must be absolute: $state" ;; esac
  logs=$state/logs pids=$state/pids pki=$state/pki
  # One short word for names that are global to the machine (namespace, interface, control group).
  tag=pc$(printf '%s' "$state" | cksum | cut -d ' ' -f 1)
  netns=portcullis-${tag#pc}
  cgroup=$tag
}

start_time() { # of process $1, so that a pid that was given to another process is never killed; fails when it has ended
  local stat=()
  read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
  # The name in parentheses may hold spaces; field 3, the state, is the first after it, field 22 the 20th.
  read -ra stat <<<"${stat##*) }"
  [ "${stat[0]}" != Z ] && printf '%s' "${stat[19]}"
}

record() { printf '%s %s\n' "$2" "$(start_time "$2")" >"$pids/$1"; }

recorded() { # prints the pid of $1 when that very process still runs
  local pid begun
  [ -s "$pids/$1" ] && read -r pid begun <"$pids/$1" && [ "$(start_time "$pid")" = "$begun" ] && printf '%s' "$pid"
}

# launch NAME PROGRAM ARGS...: a program in the background, its log and pid kept under the state folder.
launch() {
  local name=$1; shift
  setsid "$@" >>"$logs/$name.log" 2>&1 </dev/null 8>&- 9>&- &
  record "$name" $!
  disown # no message of the shell when it ends
}

# await NAME SECONDS WHAT COMMAND...: until COMMAND succeeds; fails at once when program NAME has ended.
await() {
  local name=$1 limit=$2 what=$3 begun=$SECONDS; shift 3
  until "$@" >/dev/null 2>&1; do
    if [ "$name" != - ] && ! recorded "$name" >/dev/null; then
      failed_log=$logs/$name.log; die "$name ended while waiting for $what; see $logs/$name.log"
    fi
    if [ $((SECONDS - begun)) -ge "$limit" ]; then
      failed_log=$logs/$name.log; die "waited $limit s for $what in vain"
    fi
    sleep 0.2
  done
}

# halt NAME SECONDS: asks the recorded process to end, insists after SECONDS.
halt() {
  local pid deadline
  if pid=$(recorded "$1"); then
    kill -TERM "$pid" 2>/dev/null || true
    deadline=$((SECONDS + $2))
    while recorded "$1" >/dev/null; do
      if [ "$SECONDS" -ge "$deadline" ]; then kill -KILL "$pid" 2>/dev/null || true; fi
      sleep 0.05
    done
  fi
  rm -f "$pids/$1"
}
