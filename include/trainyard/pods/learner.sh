# Runs the training command as the first process of its container. For bash, dash and busybox.
# Exits with the command's own exit code; 71 to 73 are the wrapper's own (see give_up).
# A container's first process leads a process group, so `kill -TERM 0` reaches the whole command and nothing else.

told=
scratch=
trap 'told=yes; trap "" TERM; [ -z "$scratch" ] || touch "$scratch/told"; kill -TERM 0' TERM

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

# What the command left in the background ends with the container, but may still be writing (`> >(tee x)` does):
# after a second it is told to stop, after 8 it is not waited for any longer.
drain() {
    ticks=0
    while kill -0 "$1" 2>/dev/null; do
        [ "$ticks" -ne 100 ] || kill -TERM 0
        [ "$ticks" -lt 800 ] || kill -KILL "$1"
        # Whole seconds where `sleep` knows no fractions.
        sleep 0.01 2>/dev/null || { sleep 1 && ticks=$((ticks + 99)); }
        ticks=$((ticks + 1))
    done
}

explain() {
    end_last_line
    printf 'trainyard: exit code %s: %s\n' "$status" "$1" | tee -a "$log"
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

# Kubernetes keeps at most 4096 bytes, and only as UTF-8.
write_reason() {
    new=$(($(wc -c <"$log") - before))
    [ "$new" -ge 0 ] || new=0
    [ "$new" -le 3500 ] || new=3500
    tail -c "$new" "$log" | tr '\r' '\n' | tr -d '\000' | LC_ALL=C sed '/^[[:space:]]*$/d' | tail -n 20 |
        if command -v iconv >/dev/null; then iconv -c -f UTF-8 -t UTF-8; else LC_ALL=C tr -cd '\11\12\40-\176'; fi
}

[ -d "$MODEL_DIR" ] && cd "$MODEL_DIR" || give_up 71 "the model definition is not at '$MODEL_DIR'"
unset OLDPWD
{ mkdir -p "${log%/*}" && true >>"$log"; } 2>/dev/null || give_up 72 "the log cannot be written to '$log'"
scratch=$(mktemp -d) && mkfifo "$scratch/output" || give_up 73 "there is no room for temporary files"
provide_python
export PYTHONPATH="$MODEL_DIR${PYTHONPATH:+:$PYTHONPATH}"
end_last_line >/dev/null
before=$(wc -c <"$log") || before=0
shell=$(command -v bash || echo sh)

# Opened both ways first: so neither end waits for the other, and no signal can come in between.
exec 3<>"$scratch/output" 4<"$scratch/output" 5>"$scratch/output" 3>&-
(
    trap '' TERM
    limit_log
    exec tee -a "$log"
) <&4 4<&- 5>&- &
copier=$!
exec 4<&-
mark_start || give_up 73 "the state cannot be written to '$JOB_STATE_DIR'"
(
    # A signal before the subshell had forgotten our trap was lost on it.
    [ -z "$told" ] && [ ! -e "$scratch/told" ] || exit 143
    exec "$shell" -c "$TRAINING_COMMAND"
) >&5 2>&1 5>&- &
program=$!
exec 5>&-

await "$program"
status=$?
if [ -n "$told" ]; then
    # Interrupted is not completed. What is still saving its state has until Kubernetes loses patience.
    [ "$status" -ne 0 ] || status=143
else
    trap '' TERM
    drain "$copier"
fi
await "$copier"
rm -rf "$scratch"
tell_log_limit

case $status in
126) explain 'a file of the command is not executable; run chmod +x on it before zipping it' ;;
127) explain 'a program of the command was not found; a file of the zip is started as ./file' ;;
esac
[ "$status" -eq 0 ] || [ ! -w "$reason" ] || write_reason >"$reason" 2>/dev/null
exit "$status"
