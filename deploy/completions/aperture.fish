# SPDX-License-Identifier: Apache-2.0
# Fish completion of aperture, aperture-agent and aperture-aggregator. Options, their values and the
# subcommands are asked of the program itself (--print-options), so they are always its own.

# The words that come before the options: the program, and of aperture the subcommand.
function __aperture_program
    set -l words (commandline -opc)
    if test (path basename -- $words[1]) = aperture
        echo $words[1]
        test (count $words) -gt 1; and echo $words[2]
    else
        echo $words[1]
    end
end

# The fields of the option in $argv[1], as "--frequency" or "-F": name, short name, type, metavar,
# choices, help.
function __aperture_option
    set -l program (__aperture_program)
    string match -q -- -- $argv[1]; and return 1
    for line in ($program --print-options 2>/dev/null)
        set -l fields (string split \t -- $line)
        if test "--$fields[1]" = "$argv[1]"; or test "-$fields[2]" = "$argv[1]"
            printf '%s\n' $fields
            return 0
        end
    end
    return 1
end

# What may follow an option that takes a value, given its fields.
function __aperture_value
    set -l metavar $argv[4]
    switch $metavar
        case '*FILE*'
            __fish_complete_path (commandline -ct)
        case '*DIR*' '*PATH*'
            __fish_complete_directories (commandline -ct)
        case 'PID*'
            __fish_complete_pids
        case '*'
            string split , -- $argv[5]
    end
end

function __aperture_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program (__aperture_program)
    if test (path basename -- $words[1]) = aperture; and test (count $words) -eq 1
        $words[1] --print-commands 2>/dev/null
        return
    end
    if test "$program[2]" = help
        $words[1] --print-commands 2>/dev/null
        return
    end
    set -l fields (__aperture_option $words[-1])
    if test (count $fields) -eq 6; and test $fields[3] != bool
        __aperture_value $fields
        return
    end
    # The command of `record` or `stat`, and its arguments.
    if contains -- -- $words; and contains -- "$program[2]" record stat
        if test $words[-1] = --
            __fish_complete_command
        else
            __fish_complete_path $current
        end
        return
    end
    if string match -q -- '-*' $current
        for line in ($program --print-options 2>/dev/null)
            set -l fields (string split \t -- $line)
            printf '%s\t%s\n' --$fields[1] $fields[6]
            test $fields[2] != -; and printf '%s\t%s\n' -$fields[2] $fields[6]
        end
    else if string match -q -- '*aperture-agent' $program[1]
        printf '%s\n' join
    else if string match -q -- '*aperture-aggregator' $program[1]
        test "$words[-1]" = token; and printf '%s\n' create list revoke; or printf '%s\n' setup token
    else if test "$program[2]" = symbols; and test (count $words) -eq 2
        printf '%s\n' push missing
    else if test "$program[2]" = annotate; and test (count $words) -eq 2
        printf '%s\n' add list rm
    else if test "$program[2]" = agents; and test (count $words) -eq 2
        printf '%s\n' list set reset
    else if test "$program[2]" = agents
        __fish_print_hostnames
    else if contains -- "$program[2]" record stat
        __fish_complete_command
    else
        __fish_complete_path $current
    end
end

for program in aperture aperture-agent aperture-aggregator
    complete -c $program -f -a '(__aperture_complete)'
end
