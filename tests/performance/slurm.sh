#!/usr/bin/env bash
# SLURM for real, on this machine alone: munge, slurmctld and slurmd from Debian's packages, without systemd and apart
# from any other installation; two tiny cells through it, and a third that SLURM requeues in the middle of its training.
# Needs root (slurmd does) and the extra `slurm`; takes a minute or two on a quiet machine. Exit status 0: all went well.
set -euo pipefail
cd "$(dirname "$0")/../.."
metabench="$PWD/.venv/bin/metabench"
methods="$PWD/tests/runs/small_methods.py"
patience=${PATIENCE:-300} # seconds that anything may take

if [ "$(id -u)" != 0 ]; then
    echo "slurm.sh: expected root, which slurmd needs" >&2
    exit 2
fi
if ! command -v slurmctld slurmd munged sbatch >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurmctld slurmd slurm-client munge
fi

place=$(mktemp -d /tmp/metabench-slurm.XXXXXX)
chmod 755 "$place"
mkdir "$place"/{munge,state,spool,home}
started=()
finish() {
    status=$?
    if [ $status != 0 ]; then
        tail -n 15 "$place"/*.log "$place"/home/slurm/*/*.err 2>/dev/null || true
    fi
    for process in "${started[@]}"; do kill "$process" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$place"
    exit $status
}
trap finish EXIT

# Waits until a command succeeds.
until_true() {
    local what=$1 deadline=$((SECONDS + patience))
    shift
    until "$@" >/dev/null 2>&1; do
        if [ $SECONDS -ge $deadline ]; then
            echo "slurm.sh: waited $patience s in vain for $what" >&2
            return 1
        fi
        sleep 1
    done
}

dd if=/dev/urandom of="$place/munge/key" bs=128 count=1 status=none
chmod 400 "$place/munge/key"
chmod 711 "$place/munge" # munged insists
munged --foreground --force --key-file="$place/munge/key" --socket="$place/munge/socket" \
    --pid-file="$place/munge/pid" --log-file="$place/munged.log" --seed-file="$place/munge/seed" \
    >"$place/munged.out" 2>&1 &
started+=($!)

host=$(hostname -s)
cat >"$place/slurm.conf" <<CONF
ClusterName=metabench
SlurmctldHost=$host(127.0.0.1)
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=short Nodes=$host Default=YES MaxTime=INFINITE State=UP
SlurmUser=root
SlurmctldPort=16817
SlurmdPort=16818
AuthType=auth/munge
AuthInfo=socket=$place/munge/socket
StateSaveLocation=$place/state
SlurmdSpoolDir=$place/spool
SlurmctldPidFile=$place/slurmctld.pid
SlurmdPidFile=$place/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
MessageTimeout=100
CONF
export SLURM_CONF="$place/slurm.conf"
until_true munge test -S "$place/munge/socket"
slurmctld -D >"$place/slurmctld.log" 2>&1 &
started+=($!)
slurmd -D -N "$host" >"$place/slurmd.log" 2>&1 &
started+=($!)
until_true "an idle node" sh -c 'sinfo --noheader --format=%T | grep -qx idle'
echo "SLURM $(sinfo --version | cut -d' ' -f2) runs"

export METABENCH_HOME="$place/home" MINARI_DATASETS_PATH="$place/minari" OMP_NUM_THREADS=1
cd "$place"
run() { timeout "$((patience * 4))" "$metabench" run tiny --dataset medium --executor slurm --slurm partition=short "$@"; }

run --method random --seeds 2 --results two | tail -n 3
test "$(find two -name '[01].json' | wc -l)" = 2
echo "two cells: done"

# Requeued in mid-training: the job begins again and goes on from the checkpoint.
SLEEP=1 run --method "$methods:Slow" --set updates=40 --results requeued >requeued.log 2>&1 &
following=$!
until_true "a checkpoint" sh -c 'ls home/runs/*/checkpoints/*'
scontrol requeue "$(squeue --noheader --array --states=RUNNING --format=%A | head -n 1)"
echo "requeued in mid-training"
if ! wait $following; then
    cat requeued.log
    exit 1
fi
record=$(find requeued -name '0.json')
grep -o '"resumed":[0-9]*' "$record"
grep -q '"resumed":[1-9]' "$record"
echo "the requeued cell: done, resumed"
