# SPDX-License-Identifier: MIT
# Shared by the lint tests: which files there are, and their code without comments and strings.
set -uo pipefail
cd "${OURO_SOURCE:-$(dirname "${BASH_SOURCE[0]}")/../..}" || exit 1

failed=0
finding()
{
    printf '%s\n' "$*"
    failed=1
}

# files PATTERN...: tracked files that exist; in an unpacked archive all files.
files()
{
    if [ -e .git ]; then
        git -c safe.directory='*' ls-files -- "$@" | while IFS= read -r f; do
            [ ! -f "$f" ] || printf '%s\n' "$f"
        done
    else
        find . -path ./build -prune -o -path ./.deps -prune -o -type f -printf '%P\n' |
            while IFS= read -r f; do
                for pattern in "$@"; do
                    # shellcheck disable=SC2053
                    [[ $f == $pattern ]] && printf '%s\n' "$f" && break
                done
            done
    fi | sort -u
}

# forbid WHY PERL-REGEX FILE...: a finding for each line of code that matches.
forbid()
{
    local why=$1 regex=$2 hits
    shift 2
    [ $# -gt 0 ] || return 0
    hits=$(perl - "$regex" "$@" <<'PERL'
my $regex = shift;
for my $file (@ARGV) {
    open my $in, '<', $file or next;
    local $/;
    my $text = <$in>;
    # Comments and strings become blanks; lines keep their numbers.
    $text =~ s{(/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+')}
              {my $t = $1; $t =~ s/[^\n]/ /g; $t}gse;
    my $number = 0;
    for my $line (split /\n/, $text) {
        $number++;
        print "$file:$number: $&\n" while $line =~ /$regex/g;
    }
}
PERL
    )
    [ -z "$hits" ] || finding "$why:"$'\n'"$hits"
}
