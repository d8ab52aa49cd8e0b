#!/usr/bin/env bash
# Runs the whole of Aperture on this machine until Ctrl-C:  tools/run.sh [--demo]
# The aggregator's and the agent's state is kept in ./.run, so that a second run shows the first's
# data. Environment: HTTP (9090), GRPC (50051) and METRICS (9091, the agent's), the ports on
# loopback; RUN_DIR (.run); AGENT_ARGS, more options for the agent.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/lib.sh
bin=build/release/src
http=${HTTP:-9090}
grpc=${GRPC:-50051}
metrics=${METRICS:-9091}
run=${RUN_DIR:-.run}
pids=()

stop() {
    trap '' INT TERM
    local i
    # Last started, first stopped: the agent hands over its last batch to a living aggregator.
    for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
        kill -TERM "${pids[i]}" 2>/dev/null || true
        wait "${pids[i]}" 2>/dev/null || true
    done
}

# Out of the terminal's reach, so that Ctrl-C comes to this script alone and it stops them in order;
# they end with it even if it is killed.
detached() { exec setpriv --pdeathsig TERM setsid "$@"; }

agent_permitted() {
    [ "$(id -u)" = 0 ] || getcap "$bin/agent/aperture-agent" 2>/dev/null | grep -q cap_bpf
}

AGENT_CAPS=cap_bpf,cap_perfmon,cap_sys_ptrace,cap_syslog,cap_dac_read_search,cap_checkpoint_restore+ep

permit_agent() {
    agent_permitted && return 0
    say "profiling needs privileges: sudo gives the agent's binary the six capabilities it uses"
    sudo setcap "$AGENT_CAPS" "$bin/agent/aperture-agent" 2>/dev/null
}

start_aggregator() {
    rm -f "$run/ports.json"
    detached "$bin/aggregator/aperture-aggregator" --listen "127.0.0.1:$http" --grpc-listen "127.0.0.1:$grpc" \
        --data-dir "$run/aggregator" --ui-dir ui/dist --chdb-library "$chdb_library" \
        --ports-file "$run/ports.json" 2>"$run/aggregator.log" >/dev/null &
    pids+=($!)
    # Ready when it has written its ports file; over when it has ended.
    while [ ! -f "$run/ports.json" ]; do
        kill -0 "${pids[0]}" 2>/dev/null || { tail -3 "$run/aggregator.log" >&2; exit 1; }
        sleep 0.05
    done
}

start_agent() {
    # shellcheck disable=SC2086 # AGENT_ARGS holds several words
    detached "$bin/agent/aperture-agent" --server "127.0.0.1:$grpc" --state-dir "$run/agent" \
        --metrics-listen "127.0.0.1:$metrics" --live \
        ${AGENT_ARGS:-} 2>"$run/agent.log" >/dev/null &
    pids+=($!)
}

mkdir -p "$run"
trap 'exit 0' INT
trap 'exit 143' TERM
trap stop EXIT
start_aggregator
if permit_agent; then
    start_agent
else
    warn "no profiles of this machine: run as root, or once: sudo setcap $AGENT_CAPS $bin/agent/aperture-agent"
fi
if [ "${1:-}" = --demo ]; then
    detached build/release/demo/aperture-demo &
    pids+=($!)
fi
# Of its default, the last hour, a first run's data would be the last dot.
say "Dashboard: http://127.0.0.1:$http/?from=now-5m   (Ctrl-C stops; logs and data in $run/)"
# Ends when any part ends by itself, which is an error to show.
status=0
wait -n "${pids[@]}" || status=$?
tail -n 3 "$run/aggregator.log" "$run/agent.log" >&2 2>/dev/null || true
exit "$status"
