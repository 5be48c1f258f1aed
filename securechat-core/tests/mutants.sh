#!/usr/bin/env bash
# Changes the code of lengths, tags, counters and replays piece by piece, and runs the file's own unit tests, and no
# others, on each change. STRENGTH.md beside this has the outcome. It needs cargo-mutants and takes about an hour.
#
#   mutants.sh FOLDER [FILE…]     such as: mutants.sh /tmp/mutants frame noise/transport
#
# What stands in MUTANTS_OPTIONS is handed on, such as `--iterate` for what was missed before.
set -uo pipefail
cd "$(dirname "$0")/../.."
folder=${1:?a folder for the outcome}
shift
mkdir -p "$folder"
# A change can turn a loop into one that never ends and keeps what it reads.
ulimit -v 8000000
[ $# -gt 0 ] || set -- frame codec noise/symmetric noise/transport link/records session/ratchet file/chunk
for file in "$@"; do
    case $file in
        file/chunk) tests=file:: ;; # a whole file's chunks, in file/tests.rs
        *) tests=${file//\//::}:: ;;
    esac
    # shellcheck disable=SC2086 # several options are several words
    cargo mutants --package securechat-core --file "securechat-core/src/$file.rs" --output "$folder/${file//\//-}" \
        --no-shuffle --cargo-arg=--lib --minimum-test-timeout 30 ${MUTANTS_OPTIONS:-} \
        -- "$tests"
done
missed=0
for file in "$@"; do
    lists=$folder/${file//\//-}/mutants.out
    printf '%s:' "$file"
    for list in caught unviable timeout missed; do printf ' %s %s' "$(wc -l <"$lists/$list.txt")" "$list"; done
    printf '\n'
    cat "$lists/missed.txt"
    missed=$((missed + $(wc -l <"$lists/missed.txt")))
done
exit $((missed > 0))
