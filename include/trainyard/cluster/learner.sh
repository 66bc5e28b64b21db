# Runs the training command as the first process of its container. For bash, dash and busybox.
# Exits with the command's own exit code; 71 to 75 are the wrapper's own (see give_up).
# `$1` is `pipefail` where each program of the command's pipelines decides about their exit code.
# The command gets a session and process group of its own: its `kill 0` ends neither this shell nor `tee`.

# The program gets its environment back unchanged: a hyperparameter may have the name of any variable below.
TRAINYARD_EXPORTS=$(export -p)
told= scratch= program= copier= masker= watcher= warnings= left= group= ticks=0
tab=$(printf '\t')
newline='
'
trap 'told=yes; trap "" TERM; [ -z "$scratch" ] || touch "$scratch/told"; signal_command TERM' TERM

log=$LOG_DIR/learner-$LEARNER_ID/training-log.txt
reason=${TERMINATION_LOG:-/dev/termination-log}

give_up() {
    [ -z "$scratch" ] || rm -rf "$scratch"
    [ -z "$told" ] || exit 143 # the signal also ended what failed
    printf 'trainyard: %s\n' "$2" >&2
    [ ! -w "$reason" ] || printf 'trainyard: %s\n' "$2" >"$reason"
    exit "$1"
}

# The image may know the framework's interpreter by another name than `python`, or not have it on PATH.
provide_python() {
    case $LEARNER_PYTHON in
    /*) PATH=${LEARNER_PYTHON%/*}:$PATH ;;
    python*)
        if ! command -v python && command -v "$LEARNER_PYTHON"; then
            printf '#!/bin/sh\nexec %s "$@"\n' "$LEARNER_PYTHON" >"$scratch/python"
            chmod +x "$scratch/python"
            PATH=$scratch:$PATH
        fi >/dev/null
        ;;
    esac
}

# Where the learners of this attempt meet, if there are several: a folder that all of them see.
together=${LEARNER_TOGETHER:+$LEARNER_TOGETHER/$LEARNER_NAME_PREFIX}

resolves() {
    if command -v getent; then
        getent hosts "$1"
    elif command -v "$LEARNER_PYTHON"; then
        "$LEARNER_PYTHON" -c 'import socket, sys; socket.gethostbyname(sys.argv[1])' "$1"
    fi >/dev/null 2>&1
}

# No program starts before all learners are there and each finds the others by their names.
await_learners() {
    [ -n "$together" ] || return 0
    { mkdir -p "$together" && true >"$together/$LEARNER_ID"; } 2>/dev/null ||
        give_up 73 "the other learners cannot be told in '$together'"
    learner=0
    while [ "$learner" -lt "$NUM_LEARNERS" ]; do
        learner=$((learner + 1))
        until [ -e "$together/$learner" ]; do
            [ -z "$told" ] || give_up 143 'stopped'
            pause 9
        done
    done
    ticks=0
    for host in $(echo "$LEARNER_HOSTS" | tr , ' '); do
        until resolves "$host"; do
            [ -z "$told" ] || give_up 143 'stopped'
            [ "$ticks" -lt 12000 ] || give_up 75 "the name of another learner is not known to the cluster's DNS: $host"
            pause 9
        done
    done
}

# As Open MPI and DeepSpeed read it.
write_hosts() {
    [ -n "$LEARNER_HOSTFILE" ] || return 0
    for host in $(echo "${LEARNER_HOSTS:-localhost}" | tr , ' '); do
        echo "$host slots=$LEARNER_SLOTS"
    done >"$LEARNER_HOSTFILE" || give_up 73 "there is no room for '$LEARNER_HOSTFILE'"
}

# mpirun starts its daemons on the other learners through this, in the place of ssh: it leaves the command where that
# learner finds it (see served_command), and waits for its end. Each learner has one at the same path, since the daemons
# are told the first one's and look whether it is there.
agent=${LEARNER_HOSTFILE%/*}/.mpirun-agent
write_agent() {
    [ -n "$LEARNER_PROCESSES" ] || return 0
    cat >"$agent" <<'AGENT' || give_up 73 "there is no room for '$agent'"
#!/bin/sh
host=${1%%.*}
learner=$((${host##*-} + 1))
shift
[ "$learner" -ne "$LEARNER_ID" ] || exec sh -c "$*"
at=$LEARNER_TOGETHER/$LEARNER_NAME_PREFIX/command-$learner
printf '%s\n' "$*" >"$at.part" && mv -f "$at.part" "$at" || exit 255
until [ -e "$at.ended" ] || [ -e "$LEARNER_TOGETHER/$LEARNER_NAME_PREFIX/ended" ]; do
    sleep 0.1 2>/dev/null || sleep 1
done
exit "$(cat "$at.ended" 2>/dev/null || echo 255)"
AGENT
    chmod +x "$agent"
}

# What a learner after the first runs where mpirun is the launcher.
# shellcheck disable=SC2016
served_command='at=$LEARNER_TOGETHER/$LEARNER_NAME_PREFIX
until [ -e "$at/command-$LEARNER_ID" ] || [ -e "$at/ended" ]; do sleep 0.1 2>/dev/null || sleep 1; done
[ ! -e "$at/command-$LEARNER_ID" ] || {
    sh -c "$(cat "$at/command-$LEARNER_ID")"
    echo "$?" >"$at/ended-$LEARNER_ID" && mv -f "$at/ended-$LEARNER_ID" "$at/command-$LEARNER_ID.ended"
}
until [ -e "$at/ended" ]; do sleep 0.1 2>/dev/null || sleep 1; done'

# Aside and renamed, so that whoever sees the file sees the time in it.
mark_start() {
    date +%s >"$JOB_STATE_DIR/started.part" && mv -f "$JOB_STATE_DIR/started.part" "$JOB_STATE_DIR/started"
}

end_last_line() {
    [ -z "$(tail -c 1 "$log" 2>/dev/null | tr '\000' x)" ] || echo | tee -a "$log"
}

# A trap cuts `wait` short, once; the second one has the real code then, and says 127 if the first one had it.
await() {
    wait "$1" 2>/dev/null # where bash would name our own lines as what was killed
    code=$?
    [ "$code" -gt 128 ] || return "$code"
    wait "$1" 2>/dev/null
    again=$?
    [ "$again" -eq 127 ] || code=$again
    return "$code"
}

# Sets $family to the living processes of the command, in whatever group or session, as `pid:parent:group:session`.
# What lost its parent belongs to the container's first process: this shell, on one machine the shim above it.
find_family() {
    table=
    for stat in /proc/[0-9]*/stat; do
        read -r line <"$stat" || continue
        fields=${line##*) } # the name before may hold anything
        case $fields in Z* | X*) continue ;; esac
        fields=${fields#* }
        parent=${fields%% *} fields=${fields#* }
        group_of=${fields%% *} fields=${fields#* }
        table="$table ${line%% *}:$parent:$group_of:${fields%% *}"
    done 2>/dev/null
    family=
    known=" $$ ${LOCALKUBE_CONTAINER:+$PPID} "
    grown=yes
    while [ -n "$grown" ]; do
        grown=
        for row in $table; do
            pid=${row%%:*} parent=${row#*:}
            [ "$pid" != "$watcher" ] || continue
            case $known in *" $pid "*) continue ;; *" ${parent%%:*} "*) ;; *) [ "${row##*:}" = "$program" ] || continue ;; esac
            known="$known$pid " grown=yes
            case " $copier $masker " in *" $pid "*) ;; *) family="$family $row" ;; esac
        done
    done
}

# The group at once, so that what it forks meanwhile is reached too; then whatever has left the group, looked up before
# its parents are gone.
signal_command() {
    find_family
    # The first form is busybox's and bash's, the second dash's.
    [ -z "$program" ] || kill -s "$1" "-$program" || kill -s "$1" -- "-$program"
    for row in $family; do
        group_of=${row%:*}
        [ "${group_of##*:}" = "$program" ] || kill -s "$1" "${row%%:*}"
    done
} 2>/dev/null

# Notes in the times of files when the program's GPUs were looked at last, and when one of them was busy. Nothing waits for
# it: it goes on until the container ends.
watch_gpus() {
    notes=$JOB_STATE_DIR/gpus
    rm -f "$notes-seen" "$notes-busy"
    : >"$notes-watched"
    while command -v nvidia-smi >/dev/null; do
        for percent in $(nvidia-smi --query-gpu=utilization.gpu --format=csv,noheader,nounits </dev/null); do
            case $percent in '' | *[!0-9]*) continue ;; esac # it does not tell of a part of a GPU
            : >"$notes-seen"
            [ "$percent" -le 5 ] || : >"$notes-busy"
        done
        sleep "$LEARNER_GPU_SECONDS" || sleep 60
    done
}

# Whole seconds where `sleep` knows no fractions.
pause() {
    sleep "0.0$1" 2>/dev/null || { sleep 1 && ticks=$((ticks + 99)); }
    ticks=$((ticks + $1))
}

# Sets $left to what still runs: how many processes, and what the first few of them are.
name_left() {
    # shellcheck disable=SC2086
    set -- $family
    left="$# of its processes" between=' ('
    [ "$#" -gt 0 ] || left='something that still had its output open'
    for row in $1 $2 $3; do
        name=$(tr '\000\n' '  ' <"/proc/${row%%:*}/cmdline" | mask | sed 's/ *$//; s/^\(.\{60\}\).*/\1.../') 2>/dev/null
        left="$left$between$name" between=', '
    done
    [ "$#" -eq 0 ] || left="$left)"
}

# What the command left in the background may still be writing (`> >(tee x)` does): after a second it is reported
# and gets SIGTERM, after 8 it is killed.
drain() {
    ticks=0 left=
    while kill -0 "$copier" 2>/dev/null || { find_family && [ -n "$family" ]; }; do
        if [ "$ticks" -ge 100 ] && [ -z "$left" ]; then
            find_family
            name_left
            signal_command TERM
        elif [ "$ticks" -ge 800 ]; then
            signal_command KILL
            # shellcheck disable=SC2086
            kill -KILL "$copier" $masker 2>/dev/null
            return
        fi
        if kill -0 "$copier" 2>/dev/null; then pause 1; else pause 5; fi
    done
}

await_family() {
    while find_family && [ -n "$family" ]; do pause 5; done
}

explain() {
    end_last_line
    printf 'trainyard: exit code %s: %s\n' "$status" "$1" | tee -a "$log"
}

# A warning is in the log, and in the outcome even of a run that is completed.
warn() {
    end_last_line
    printf 'trainyard: warning: %s\n' "$1" | tee -a "$log"
    warnings="${warnings}trainyard: warning: $1$newline"
}

# Past the limit `tee` cannot write to the file any more and goes on with the pod's own log, which the kubelet bounds.
limit_log() {
    [ -n "$LEARNER_LOG_BYTES" ] || return 0
    trap '' XFSZ
    ulimit -f $((LEARNER_LOG_BYTES / 512 ${BASH_VERSION:+/ 2})) 2>/dev/null # bash counts in 1024s
}

tell_log_limit() {
    [ -n "$LEARNER_LOG_BYTES" ] && [ "$(wc -c <"$log")" -ge $((LEARNER_LOG_BYTES / 1024 * 1024)) ] || return 0
    end_last_line
    printf 'trainyard: the log has its %s bytes; what came after is not kept\n' "$LEARNER_LOG_BYTES" | tee -a "$log"
}

# A command that ends with `&` would end before its program has begun: it is waited for, and its exit code counts.
await_jobs='TRAINYARD_CODE=$?; [ -z "$!" ] || wait $! || TRAINYARD_CODE=$?; wait; exit $TRAINYARD_CODE'
whole_command() {
    [ -z "$LEARNER_PROCESSES" ] || [ "$LEARNER_ID" -eq 1 ] || { printf '%s' "$served_command" && return; }
    text=$TRAINING_COMMAND
    while :; do
        case $text in
        *' ' | *"$tab" | *"$newline") text=${text%?} ;;
        *'&&' | *'\&') break ;;
        *'&') printf '%s\n' "$text" "$await_jobs" && return ;;
        *) break ;;
        esac
    done
    printf '%s' "$TRAINING_COMMAND"
}

# What stands between the program's output and all that keeps it: each secret, each of its longer lines, and both as
# JSON, URLs and base64 write them, become ****. What may be the beginning of one is held back until more has come.
# For Python 2 too.
masker_text='
import base64, json, os
try:
    from urllib.parse import quote
except ImportError:
    from urllib import quote
LIMIT = 1 << 20
words = set()
for name in os.environ["TRAINYARD_SECRETS"].split():
    text = os.environ.get(name, "")
    value = text if isinstance(text, bytes) else os.fsencode(text)
    for part in [value] + [line.strip() for line in value.splitlines()]:
        if len(part) < 8:
            continue
        words.update([part, quote(part, safe="").encode(), json.dumps(part.decode("utf-8", "replace"))[1:-1].encode()])
        for shift, skip in (0, 0), (1, 2), (2, 3):
            data = bytes(bytearray(shift)) + part
            words.add(base64.b64encode(data[: len(data) // 3 * 3])[skip:])
words = [word for word in words if len(word) >= 8]

def held(data):
    most = 0
    for word in words:
        tail = data[-(len(word) - 1) :]
        at = tail.find(word[:1])
        while at >= 0 and not word.startswith(tail[at:]):
            at = tail.find(word[:1], at + 1)
        most = max(most, len(tail) - at if at >= 0 else 0)
    return most

def regions(data):
    found = []
    for word in words:
        at = data.find(word)
        while at >= 0:
            found.append((at, at + len(word)))
            at = data.find(word, at + 1)
    merged = []
    for first, last in sorted(found):
        if merged and first <= merged[-1][1]:
            merged[-1][1] = max(last, merged[-1][1])
        else:
            merged.append([first, last])
    return merged

def masked(data, ended):
    cut, at, out = len(data) - (0 if ended else held(data)), 0, []
    for first, last in regions(data):
        if last > cut and last - first < LIMIT:
            cut = min(cut, first)
            break
        out += [data[at:first], b"****"]
        at = last
    return b"".join(out) + data[at:cut], data[max(at, cut) :]

def write(data):
    while data:
        data = data[os.write(1, data) :]

rest = b""
while True:
    chunk = os.read(0, 65536)
    shown, rest = masked(rest + chunk, not chunk)
    write(shown)
    if not chunk:
        break
'
# For an image without Python: line by line, and as they are.
masker_awk='
BEGIN {
    count = split(ENVIRON["TRAINYARD_SECRETS"], names, " ")
    for (n = 1; n <= count; n++) {
        lines = split(ENVIRON[names[n]], parts, "\n")
        for (l = 1; l <= lines; l++) if (length(parts[l]) >= 8) words[++many] = parts[l]
    }
}
{
    line = $0
    for (w = 1; w <= many; w++)
        while (at = index(line, words[w]))
            line = substr(line, 1, at - 1) "****" substr(line, at + length(words[w]))
    print line
    fflush()
}'

# Sets $mask_with to the program that masks, and to `cat` where there is no secret.
find_mask() {
    mask_with=cat
    [ -n "$TRAINYARD_SECRETS" ] || return 0
    for mask_with in "$LEARNER_PYTHON" python3 python; do
        case ${mask_with##*/} in python*) ! command -v "$mask_with" >/dev/null || return 0 ;; esac
    done
    mask_with=awk
    command -v awk >/dev/null
}

# In the place of a subshell, and elsewhere than in the zip's folder, whose modules are not Python's.
mask() {
    cd /
    case ${mask_with##*/} in
    cat) exec cat ;;
    awk)
        # mawk alone waits for whole blocks
        case $(awk -W version 2>/dev/null </dev/null) in mawk*) set -- -W interactive ;; *) set -- ;; esac
        export LC_ALL=C
        exec awk "$@" "$masker_awk"
        ;;
    *) exec "$mask_with" -E -s -S -c "$masker_text" ;;
    esac
}

# Installs the zip's requirements.txt before the program starts, in the program's place. What is installed is in $1 for
# all runs that need the same; the run's own environment lies on top of it, so that it alone has what the program
# installs by itself. Sets $PATH and $VIRTUAL_ENV.
install_requirements() {
    place=$1
    if ! python -c 'import pip, venv' 2>/dev/null; then
        echo 'trainyard: warning: requirements.txt is not installed: the image has no Python with pip and venv'
        return 0
    fi
    : >"$JOB_STATE_DIR/installing"
    built=$place/$(cat "$place/ready" 2>/dev/null)
    if ! "$built/bin/python" -c 'import sys; sys.exit(sys.prefix == sys.base_prefix)' 2>/dev/null; then
        # One that the image's Python does not fit any more cannot be put right where it may only be read.
        [ -w "$place" ] || place=$HOME/.environments
        built=$place/$TRAINING_ID-$LEARNER_ID-$(date +%s)-$$
        echo 'trainyard: installing requirements.txt'
        { build_environment "$built" && echo yes >"$scratch/built"; } 2>&1 | tee "$scratch/pip"
        if [ ! -e "$scratch/built" ]; then
            rm -rf "$built"
            name_refusal >"$scratch/refused"
            return 1
        fi
        printf %s "${built##*/}" >"$scratch/ready"
        # Whoever comes second keeps its own for this run: both are the same.
        [ -e "$place/ready" ] || mv "$scratch/ready" "$place/ready" 2>/dev/null
    fi
    own=$HOME/.environment
    rm -rf "$own"
    python -m venv --system-site-packages --without-pip "$own" || return 1
    packages=$("$own/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    below=$("$built/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    printf 'import site; site.addsitedir("%s")\n' "$below" >"$packages/trainyard.pth"
    for name in pip pip3; do
        printf '#!/bin/sh\nexec "%s/bin/python" -m pip "$@"\n' "$own" >"$own/bin/$name"
        chmod +x "$own/bin/$name"
    done
    PATH=$own/bin:$built/bin:$PATH VIRTUAL_ENV=$own
    rm -f "$JOB_STATE_DIR/installing"
}

build_environment() {
    python -m venv --system-site-packages --without-pip "$1" &&
        "$1/bin/python" -m pip install --no-input --no-cache-dir --no-warn-script-location --progress-bar off \
            -r "$MODEL_DIR/requirements.txt"
}

# pip's own sentence: its last error, and no advert or warning that follows.
name_refusal() {
    sentence=$(grep -a '^ *ERROR: ' "$scratch/pip" | tail -n 1)
    [ -n "$sentence" ] || sentence=$(grep -a '^ *error: ' "$scratch/pip" | tail -n 1)
    [ -n "$sentence" ] || sentence=$(grep -av -e '^ *$' -e '^\[notice\]' -e '^WARNING: ' "$scratch/pip" | tail -n 1)
    printf %s "$sentence" | mask
}

# Kubernetes keeps at most 4096 bytes, and only as UTF-8.
write_reason() {
    new=$(($(wc -c <"$log") - before))
    [ "$new" -ge 0 ] || new=0
    [ "$new" -le 3500 ] || new=3500
    tail -c "$new" "$log" | tr '\r' '\n' | tr -d '\000' | LC_ALL=C sed '/^[[:space:]]*$/d' | tail -n 20 |
        if command -v iconv >/dev/null; then iconv -c -f UTF-8 -t UTF-8; else LC_ALL=C tr -cd '\11\12\40-\176'; fi
}

[ -d "$MODEL_DIR" ] && cd "$MODEL_DIR" || give_up 71 "the model definition is not at '$MODEL_DIR'"
{ mkdir -p "${log%/*}" && true >>"$log"; } 2>/dev/null || give_up 72 "the log cannot be written to '$log'"
scratch=$(mktemp -d) && mkfifo "$scratch/output" || give_up 73 "there is no room for temporary files"
provide_python
# Where pip puts the commands of what it installs for the user, as it does in a read-only image.
PATH=$HOME/.local/bin:$PATH
end_last_line >/dev/null
before=$(wc -c <"$log") || before=0
[ -z "$TRAINYARD_IMAGE_NOT_RUN" ] || warn "the image $TRAINYARD_IMAGE_NOT_RUN was not run: this cluster has no container engine, the command ran with this machine's own programs"
shell=$(command -v bash || echo sh)
option=
[ "$1" != pipefail ] || ! "$shell" -o pipefail -c : 2>/dev/null || option='-o pipefail'
# Where there is no setsid, bash at least gives the command a process group.
apart=$(command -v setsid) || { [ -z "$BASH_VERSION" ] || group=yes; }

find_mask || give_up 73 'the image has neither Python nor awk, so that secrets in the log could not be masked'

# Opened both ways first: so neither end waits for the other, and no signal can come in between.
exec 3<>"$scratch/output" 4<"$scratch/output" 5>"$scratch/output" 3>&-
if [ -n "$TRAINYARD_SECRETS" ]; then
    mkfifo "$scratch/masked" || give_up 73 "there is no room for temporary files"
    exec 3<>"$scratch/masked" 6<"$scratch/masked" 7>"$scratch/masked" 3>&-
    (
        trap '' TERM
        exec 4<&- 5>&- 6<&- 7>&-
        mask
    ) <&4 >&7 &
    masker=$!
    exec 4<&6 6<&- 7>&-
fi
(
    trap '' TERM
    limit_log
    exec tee -a "$log"
) <&4 4<&- 5>&- &
copier=$!
exec 4<&-
await_learners
write_hosts
write_agent
mark_start || give_up 73 "the state cannot be written to '$JOB_STATE_DIR'"
if [ -n "$LEARNER_GPU_SECONDS" ]; then
    (
        trap '' TERM
        watch_gpus
    ) >/dev/null 2>&1 5>&- &
    watcher=$!
fi
[ -z "$group" ] || set -m
(
    # A signal before the subshell had forgotten our trap was lost on it.
    [ -z "$told" ] && [ ! -e "$scratch/told" ] || exit 143
    launched=$LEARNER_PROCESSES
    [ "$LEARNER_ID" -eq 1 ] || launched=
    [ -z "$TRAINYARD_ENVIRONMENT" ] || install_requirements "$TRAINYARD_ENVIRONMENT" || exit 1
    # For whoever runs another command beside the program.
    printf %s "$PATH" 2>/dev/null >"$HOME/.path"
    set -- "$(whole_command)" "$PATH" "$MODEL_DIR${PYTHONPATH:+:$PYTHONPATH}" "$apart" "$shell" "$option" "$VIRTUAL_ENV" \
        "$launched" "$agent"
    eval "$TRAINYARD_EXPORTS"
    unset OLDPWD TRAINYARD_EXPORTS
    export PATH="$2" PYTHONPATH="$3"
    [ -z "$7" ] || export VIRTUAL_ENV="$7"
    # shellcheck disable=SC2086
    [ -n "$8" ] || exec ${4:+"$4"} "$5" $6 -c "$1"
    # As root, since on one machine a training may be; the daemons stay with the agent, that their ends are known. The
    # names of the second line are those of Open MPI 5.
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_plm_rsh_agent="$9" \
        PRTE_ALLOW_RUN_AS_ROOT=1 PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1 PRTE_MCA_plm_ssh_agent="$9" \
        OMPI_MCA_plm_rsh_no_tree_spawn=1 OMPI_MCA_orte_leave_session_attached=1 \
        PRTE_MCA_plm_ssh_no_tree_spawn=1 PRTE_MCA_prte_leave_session_attached=1 OMPI_MCA_orte_keep_fqdn_hostnames=1
    # shellcheck disable=SC2086
    exec ${4:+"$4"} mpirun -np "$8" --hostfile "$LEARNER_HOSTFILE" --bind-to none "$5" $6 -c "$1"
) >&5 2>&1 5>&- &
program=$!
[ -z "$group" ] || set +m
exec 5>&-

await "$program"
status=$?
if [ -n "$told" ]; then
    # Interrupted is not completed. What is still saving its state has until Kubernetes loses patience.
    [ "$status" -ne 0 ] || status=143
    await_family
else
    trap '' TERM
    drain
fi
await "$copier"
[ -z "$together" ] || [ "$LEARNER_ID" -ne 1 ] || true >"$together/ended"
refused=
[ -n "$told" ] || refused=$(cat "$scratch/refused" 2>/dev/null)
rm -rf "$scratch" "$JOB_STATE_DIR/installing"
[ -z "$watcher" ] || kill -KILL "$watcher" 2>/dev/null
tell_log_limit
[ -z "$left" ] || warn "the command ended before $left; what still ran was stopped. End the command with \`wait\` if it is needed"

if [ -n "$refused" ]; then
    end_last_line
    printf 'trainyard: requirements.txt could not be installed: %s\n' "$refused" | tee -a "$log"
    [ ! -w "$reason" ] || printf 'trainyard: %s\n' "$refused" >"$reason"
    exit 74
fi

case $status in
126) explain 'a file of the command is not executable; run chmod +x on it before zipping it' ;;
127) explain 'a program of the command was not found; a file of the zip is started as ./file' ;;
esac
[ ! -w "$reason" ] || {
    # The program's own word: container runtimes make up this code for what they lost.
    [ "$status" -ne 255 ] || echo 'trainyard: exit code 255'
    [ "$status" -eq 0 ] || write_reason
    printf %s "$warnings"
} >"$reason" 2>/dev/null
exit "$status"
