#!/usr/bin/env bash
# Runs every model of this folder in Verifpal, as it stands and once for each of its controls, and compares each query's
# result with what the model's file expects. README.md says what the models show, and how their files are written.
#
#   check.sh                        all models
#   check.sh pk xxkem               these
#   check.sh print pk leak_before   the model of a control, as Verifpal gets it
#   check.sh trace pk leak_before   Verifpal's own report on it, with the attacks
#   check.sh tables                 what the files expect, as README.md shows it
#
# Ends with 0 when every result is the expected one, with 1 when one is not, with 2 when it could not run.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
limit=${LIMIT:-600}              # seconds for one run
all=${ALL:-}                     # 1: a control is asked every query; those it is not named in are shown, not judged
parallel=${SESSIONS:-}           # runs of each side as it stands, in place of what the file says
export VERIFPAL_THREADS=${VERIFPAL_THREADS:-1}

fail() { printf '%s\n' "$*" >&2; exit 2; }

need_verifpal() {
    command -v verifpal >/dev/null || fail "verifpal is not installed. It is a crate that needs a nightly compiler:
    cargo +nightly install verifpal --version 1.6.7 --ignore-rust-version --locked
(about ten minutes), and then on the PATH, in cargo's bin folder."
}

# A model ($1) as it stands in a control ($2, or - for none): lines marked `//- NAMES` are out, lines `//+ NAMES: TEXT` in,
# and of the queries those are left that name the control, or all if none does.
variant() {
    local only=
    if [[ $2 != - && -z $all ]] && grep -q "// fails in .*\<$2\>" "$1"; then only=1; fi
    awk -v control="$2" -v only="$only" '
        function named(names,   list, n, i) {
            n = split(names, list, /[ ,;]+/)
            for (i = 1; i <= n; i++) if (list[i] == control) return 1
            return 0
        }
        /^[ \t]*\/\/\+ / {
            text = $0; sub(/\/\/\+ [^:]*: ?/, "", text)
            names = $0; sub(/^[ \t]*\/\/\+ /, "", names); sub(/:.*/, "", names)
            if (named(names)) print text
            next
        }
        /\/\/- / {
            names = $0; sub(/.*\/\/- /, "", names)
            if (named(names)) next
        }
        /^queries\[/ { inside = 1 }
        inside && /\?/ && only && !named($0) { next }
        { print }
    ' "$1"
}

controls() { sed -n 's/^\/\/ control \([a-z0-9_]*\)[:,].*/\1/p' "$1"; }

# How many parallel runs of each side: as the model's file says; 1 in a control that does not say.
sessions() {
    local found
    if [[ $2 == - && -n $parallel ]]; then found=$parallel; elif [[ $2 == - ]]; then found=$(sed -n 's/^\/\/ sessions: *//p' "$1"); else
        found=$(sed -n "s/^\/\/ control $2, \([0-9]*\) sessions:.*/\1/p" "$1"); fi
    printf '%s' "${found:-1}"
}

# The queries of a model, the controls each must fail in and those it must hold in: "QUERY|NAMES|NAMES", in order.
queries() {
    awk '
        /^queries\[/ { inside = 1; next }
        inside && /\?/ {
            names = $0
            if (!sub(/.*\/\/ fails in /, "", names)) names = ""
            if (!sub(/; holds in /, "|", names)) names = names "|"
            query = $0; sub(/[ \t]*\/\/.*/, "", query); sub(/^[ \t]+/, "", query)
            print query "|" names
        }
    ' "$1"
}

has() { [[ " ${1//,/ } " == *" $2 "* ]]; }

# What the files expect, as README.md shows it.
tables() {
    local file query names others name
    for file in "$here"/*.vp; do
        printf '\n### %s.vp\n\n%s\n\n| query | as it stands | fails in | holds in |\n|---|---|---|---|\n' "$(basename "$file" .vp)" \
            "$(sed -n '1s,^// ,,p' "$file")"
        while IFS='|' read -r query names others; do
            name=holds
            if has "$names" -; then name='**fails**'; fi
            printf '| `%s` | %s | %s | %s |\n' "$query" "$name" "$(sed 's/^-\(, \)\{0,1\}//; s/[a-z_0-9][a-z_0-9]*/`&`/g' <<<"$names")" \
                "$(sed 's/[a-z_0-9][a-z_0-9]*/`&`/g' <<<"$others")"
        done < <(queries "$file")
        printf '\n'
        sed -n 's/^\/\/ sessions: \(.*\)/- as it stands: sessions \1/p; s/^\/\/ control \([a-z0-9_]*\)\(.*\): \(.*\)/- `\1`\2: \3/p' "$file"
    done
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

case ${1:-} in
tables) tables; exit ;;
print) variant "$here/${2:?model}.vp" "${3:--}"; exit ;;
trace)
    need_verifpal
    variant "$here/${2:?model}.vp" "${3:--}" >"$work/$2.vp"
    nice -n 15 verifpal verify --color never --sessions "$(sessions "$here/$2.vp" "${3:--}")" "$work/$2.vp"
    exit ;;
esac

need_verifpal
printf '%s\n\n' "$(verifpal --version)"
models=("$@")
if [[ ${#models[@]} -eq 0 ]]; then
    for file in "$here"/*.vp; do models+=("$(basename "$file" .vp)"); done
fi

bad=0 asked=0
wrong() { bad=$((bad + 1)); printf '    %s\n' "$*"; }
cmp -s <(tables) <(sed '1,/^<!-- tables -->$/d' "$here/README.md") || wrong 'README.md: the tables are not those of `check.sh tables`'

for model in "${models[@]}"; do
    file=$here/$model.vp
    [[ -f $file ]] || fail "no model $model"
    mapfile -t known < <(controls "$file")
    mapfile -t lines < <(queries "$file")
    for line in "${lines[@]}"; do
        IFS='|' read -r query names others <<<"$line"
        [[ -n $names ]] || wrong "$model: no control for: $query"
        for name in $names $others; do
            has "- ${known[*]}" "${name%,}" || wrong "$model: unknown control $name"
        done
    done
    for name in - "${known[@]}"; do
        variant "$file" "$name" >"$work/$model.vp"
        mapfile -t lines < <(queries "$work/$model.vp")
        runs=$(sessions "$file" "$name")
        if [[ $name != - && $runs == 1 ]] && cmp -s <(variant "$file" -) "$work/$model.vp"; then wrong "$model: $name changes nothing"; fi
        began=$SECONDS code=
        code=$(nice -n 15 timeout "$limit" verifpal verify --quiet --result-code --sessions "$runs" \
            "$work/$model.vp" 2>"$work/errors" | tail -n 1) || true
        took=$((SECONDS - began))
        if [[ ! $code =~ ^([caufe][01])+$ || ${#code} -ne $((2 * ${#lines[@]})) ]]; then
            wrong "$model $name: no result after $took s: $code $(head -c 400 "$work/errors")"
            continue
        fi
        printf '%s, %s, sessions %d: %d s\n' "$model" "$([[ $name == - ]] && echo 'as it stands' || echo "control $name")" "$runs" "$took"
        for i in "${!lines[@]}"; do
            IFS='|' read -r query names others <<<"${lines[i]}"
            expected=holds got=holds
            if has "$names" "$name"; then expected=fails; fi
            [[ ${code:2 * i + 1:1} == 0 ]] || got=fails
            if [[ -n $all && $name != - ]] && ! has "$names $others" "$name"; then expected=$got; fi
            asked=$((asked + 1))
            mark='  '
            if [[ $got != "$expected" ]]; then mark='!!' bad=$((bad + 1)); fi
            printf '  %s %-58s expected %-5s got %s\n' "$mark" "$query" "$expected" "$got"
        done
    done
done

printf '\n%d queries, %d not as expected, %d s\n' "$asked" "$bad" "$SECONDS"
[[ $bad -eq 0 ]]
