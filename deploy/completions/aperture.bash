# SPDX-License-Identifier: Apache-2.0
# Bash completion of aperture, aperture-agent and aperture-aggregator. Options, their values and the
# subcommands are asked of the program itself (--print-options), so they are always its own.

# Reads the options of "$@" into the arrays of the caller: names and, by name, metavar and choices.
_aperture_options() {
    local name short type metavar choices help
    while IFS=$'\x1f' read -r name short type metavar choices help; do
        names+=("--$name")
        [[ $type == bool ]] || takes["--$name"]=$metavar
        values["--$name"]=$choices
        if [[ $short != - ]]; then
            names+=("-$short")
            [[ $type == bool ]] || takes["-$short"]=$metavar
            values["-$short"]=$choices
        fi
    done < <("$@" --print-options 2>/dev/null | tr '\t' '\037')
}

# What may follow the option $1, which takes a value, given the start $2.
_aperture_value() {
    local words=${values[$1]//,/ }
    case ${takes[$1]} in
    *FILE*) mapfile -t COMPREPLY < <(compgen -f -- "$2") ;;
    *PATH*) mapfile -t COMPREPLY < <(compgen -d -- "$2") ;;
    *DIR*) mapfile -t COMPREPLY < <(compgen -d -- "$2") ;;
    PID*) mapfile -t COMPREPLY < <(compgen -W "$(cd /proc && echo [0-9]*)" -- "$2") ;;
    *) mapfile -t COMPREPLY < <(compgen -W "$words" -- "$2") ;;
    esac
}

_aperture() {
    local -A takes=() values=()
    local -a names=() program=("${COMP_WORDS[0]}")
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} first=1 i word words
    COMPREPLY=()
    if [[ ${COMP_WORDS[0]##*/} == aperture ]]; then
        if ((COMP_CWORD == 1)); then
            mapfile -t COMPREPLY < <(compgen -W "$("${COMP_WORDS[0]}" --print-commands 2>/dev/null |
                cut -f1) --help --version" -- "$cur")
            return
        fi
        program+=("${COMP_WORDS[1]}")
        first=2
        if [[ ${COMP_WORDS[1]} == help ]]; then
            mapfile -t COMPREPLY < <(compgen -W "$("${COMP_WORDS[0]}" --print-commands 2>/dev/null |
                cut -f1)" -- "$cur")
            return
        fi
    fi
    _aperture_options "${program[@]}"
    # "--option=value" comes as three words.
    if [[ $cur == = ]]; then
        cur=
    elif [[ $prev == = ]]; then
        prev=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    if [[ -n ${takes[$prev]-} ]]; then
        _aperture_value "$prev" "$cur"
        return
    fi
    # The command of `record` or `stat`, and its arguments.
    for ((i = first; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $word == -- && ${program[1]-} == @(record|stat) ]]; then
            ((i + 1 == COMP_CWORD)) && mapfile -t COMPREPLY < <(compgen -c -- "$cur")
            ((i + 1 == COMP_CWORD)) || mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            return
        fi
    done
    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "${names[*]}" -- "$cur")
    elif [[ ${COMP_WORDS[0]##*/} == aperture-agent ]]; then
        mapfile -t COMPREPLY < <(compgen -W "join" -- "$cur")
    elif [[ ${COMP_WORDS[0]##*/} == aperture-aggregator ]]; then
        [[ $prev == token ]] && words="create list revoke" || words="setup token"
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
    elif [[ ${program[1]-} == symbols && $COMP_CWORD == 2 ]]; then
        mapfile -t COMPREPLY < <(compgen -W "push missing" -- "$cur")
    elif [[ ${program[1]-} == alerts && $COMP_CWORD == 2 ]]; then
        mapfile -t COMPREPLY < <(compgen -W "list history add rm toggle eval dry-run silence unsilence" -- "$cur")
    elif [[ ${program[1]-} == annotate && $COMP_CWORD == 2 ]]; then
        mapfile -t COMPREPLY < <(compgen -W "add list rm" -- "$cur")
    elif [[ ${program[1]-} == agents ]]; then
        ((COMP_CWORD == 2)) && mapfile -t COMPREPLY < <(compgen -W "list set reset" -- "$cur")
        ((COMP_CWORD == 2)) || mapfile -t COMPREPLY < <(compgen -A hostname -- "$cur")
    elif [[ ${program[1]-} == @(record|stat) ]]; then
        mapfile -t COMPREPLY < <(compgen -c -- "$cur")
    else
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    fi
}

complete -o filenames -F _aperture aperture aperture-agent aperture-aggregator
