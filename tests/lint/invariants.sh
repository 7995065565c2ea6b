#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Each numbered invariant is defined once in a comment under src (its number begins a sentence
# there), is cited beside an assertion in src (check, ensure, must_hold, _Static_assert, the numbers
# that wheel_check() returns), and by a test that shows it. Behaviour that no single state tells
# of stands under a line "Shown by tests alone:" and needs the test only; what a _Static_assert says
# needs no test.
. "$(dirname "$0")/lib.sh"

mapfile -t sources < <(files 'src/*.c' 'src/*.h')
mapfile -t tests < <(files 'tests/*/*.c' 'tests/*/*.cpp' 'tests/*/*.h' 'tests/lint/*.sh' |
    grep -vE '/(invariants|selftest).sh$')
[ "${#sources[@]}" -gt 0 ] || exit "$failed"

perl - "${sources[@]}" -- "${tests[@]}" <<'PERL' || failed=1
my ($tests, %defined, %alone, %asserted, %static, %shown, %named, @wrong);
my $number = qr/\[[A-Z]+-\d+\]/;
my $assertion = qr/\b(?:check|ensure|must_hold|_Static_assert|static_assert)\b/;
for my $file (@ARGV) {
    if ($file eq '--') { $tests = 1; next; }
    open my $in, '<', $file or next;
    my (@lines) = <$in>;
    if ($tests) {
        for my $line (@lines) { $shown{$_} = $named{$_} = $file for $line =~ /$number/g; }
        next;
    }
    my $alone = 0;
    for my $i (0 .. $#lines) {
        my $line = $lines[$i];
        $named{$_} = $file for $line =~ /$number/g;
        $alone = 1 if $line =~ /shown by tests alone:/i;
        # A definition: the number, then a sentence, in a comment of the file's own level.
        if ($line =~ m{^(?: \*|/\*) } && $line =~ m{(?:^ \*\s+|^/\* |\. )$number [A-Za-z`]}) {
            for my $n ($line =~ m{(?:^ \*\s+|^/\* |\. )($number) (?=[A-Za-z`])}g) {
                push @wrong, "$n is defined twice: $defined{$n}, $file" if $defined{$n};
                $defined{$n} = $file;
                $alone{$n} = $alone;
                my $next = join '', @lines[$i + 1 .. ($i + 2 < $#lines ? $i + 2 : $#lines)];
                $asserted{$n} = $static{$n} = 1 if $next =~ /static_assert/i;
            }
            next;
        }
        # A citation: on the assertion's line or a neighbour of it.
        for my $n ($line =~ /$number/g, $line =~ /"([A-Z]+-\d+)"/g) {
            $n = "[$n]" unless $n =~ /^\[/;
            $named{$n} = $file;
            my $near = join '', @lines[($i > 1 ? $i - 1 : 0) .. ($i < $#lines ? $i + 1 : $i)];
            $near =~ s{/\*.*?\*/}{}gs;
            $asserted{$n} = 1 if $near =~ /$assertion/ || $line =~ /\breturn\b.*\d;/;
            $static{$n} = 1 if $near =~ /static_assert/i;
        }
        $alone = 0 if $line =~ m{\*/};
    }
}
for my $n (sort keys %defined) {
    push @wrong, "$n of $defined{$n}: no assertion in src cites it"
        unless $asserted{$n} || $alone{$n};
    push @wrong, "$n of $defined{$n}: no test names it" unless $shown{$n} || $static{$n};
}
push @wrong, "$_ is named in $named{$_}, but no header defines it"
    for sort grep { !$defined{$_} } keys %named;
print "$_\n" for @wrong;
exit @wrong ? 1 : 0;
PERL
exit "$failed"
