#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Includes point downwards: a file of a layer sees its own and lower layers' headers and the
# public ones. liburing belongs to src/ring, hwloc and libnuma to src/topo; tools, examples
# and the tests that are programs like those (stress) live on the public headers. Unit
# tests see what can be tested without a task; rings are for the tests' support.
. "$(dirname "$0")/lib.sh"

# io stands on async, so it is the higher of the two.
height_of()
{
    case $1 in
    src/base/*) echo 0 ;;
    src/topo/*) echo 1 ;;
    src/ring/*) echo 2 ;;
    src/buf/*) echo 3 ;;
    src/shard/*) echo 4 ;;
    src/async/*) echo 5 ;;
    src/io/*) echo 6 ;;
    src/obs/*) echo 7 ;;
    src/*/*) echo unknown ;;
    src/*) echo 8 ;; # the runtime: glue
    *) echo unknown ;;
    esac
}

# Prints "kind name" per include: kind is < or ".
includes_of()
{
    sed -nE 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*([<"])([^>"]+)[>"].*/\1 \2/p' "$1"
}

check_system_header()
{
    local file=$1 name=$2
    case $name in
    liburing* | linux/io_uring*)
        [[ $file == src/ring/* ]] || finding "$file: <$name> belongs to src/ring alone" ;;
    hwloc* | numa.h | numaif.h | numacompat1.h)
        [[ $file == src/topo/* ]] || finding "$file: <$name> belongs to src/topo alone" ;;
    esac
}

check_own_header()
{
    local file=$1 name=$2 mine=$3 path theirs
    path=src/$name
    [[ $name == */* ]] || path=$(dirname "$file")/$name
    theirs=$(height_of "$path")
    if [ "$theirs" = unknown ]; then
        finding "$file: \"$name\" is in no layer"
    elif [ "$theirs" -gt "$mine" ]; then
        finding "$file: \"$name\" lies above it"
    fi
}

while IFS= read -r file; do
    mine=$(height_of "$file")
    if [ "$mine" = unknown ]; then
        finding "$file: in no known layer"
        continue
    fi
    while read -r kind name; do
        case $kind$name in
        '<'*) check_system_header "$file" "$name" ;;
        '"ouro.h' | '"ouro/'*) ;;
        *) check_own_header "$file" "$name" "$mine" ;;
        esac
    done < <(includes_of "$file")
done < <(files 'src/*.c' 'src/*.h' 'src/*.S')

while IFS= read -r file; do
    while read -r kind name; do
        case $kind$name in
        '<'*) check_system_header "$file" "$name" ;;
        *) [[ $name != *src/* && ! -f src/$name ]] ||
            finding "$file: \"$name\" is not a public header" ;;
        esac
    done < <(includes_of "$file")
done < <(files 'include/*.h' 'tools/*.c' 'tools/*.h' 'examples/*.c' 'examples/*.h')

check_test_header()
{
    local file=$1 name=$2
    case $file in
    tests/stress/*)
        [[ ! -f src/$name ]] ||
            finding "$file: \"$name\" is not a public header" ;;
    tests/unit/*)
        [[ ! -f src/$name || $name != async/* && $name != io/* ]] ||
            finding "$file: \"$name\" needs tasks: a test of it belongs to tests/kernel" ;;
    esac
}

while IFS= read -r file; do
    while read -r kind name; do
        case $kind$name in
        '<hwloc'* | '<numa'*) finding "$file: <$name> belongs to src/topo alone" ;;
        '<liburing'*)
            [[ $file == tests/support/* || $file == tests/fuzz/* ]] ||
                finding "$file: <$name> is for tests/support" ;;
        '<'*) ;;
        *) check_test_header "$file" "$name" ;;
        esac
    done < <(includes_of "$file")
done < <(files 'tests/*.c' 'tests/*.cpp' 'tests/*.h')
exit "$failed"
