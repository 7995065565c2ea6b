#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Tools and examples run their tasks on shards: a call that waits in the kernel holds up all of a
# shard's tasks. What may do so all the same is listed here by function, with the reason.
. "$(dirname "$0")/lib.sh"

# file function call... # why
allowed='
examples/client.c talk fwrite                # a client of one connection, which has nothing else to do
examples/echo.c serve fflush                 # the line that says where, once, before the first client
examples/udp_echo.c echo fflush              # the same
tools/demo_app/child.c read_line read        # in the process that was forked, before it is the proxy
tools/demo_app/child.c child_start write     # one byte into an empty pipe, to a child that was forked
tools/demo_app/child.c line_said read        # what a poll said is there
tools/demo_app/child.c reap waitpid          # of one that has ended, or was killed just before
tools/demo_app/main.c introduce fflush       # shard 0 of the demo shows what the others do: it has the
tools/demo_app/main.c serve_on fflush        # terminal, and no connection
tools/demo_app/main.c load_and_serve fflush  # the same
tools/demo_app/show.c show_line fflush       # the same
tools/ouro-echo.c print_counters fflush      # one line when it stops
tools/ouro-echo.c app_main fflush            # one line when it starts
tools/probe/machine.c read_number *          # before there is a shard
tools/probe/machine.c look_at_huge_pages *   # the same
tools/probe/machine.c look_at_transparent *  # the same
tools/probe/main.c main *                    # the same
tools/proxy/main.c announce fflush           # one line when it starts
tools/proxy/report.c report_print fflush     # one report when it was asked for, or ends
tools/proxy/report.c report_drain fflush     # the same
'

mapfile -t sources < <(files 'tools/*.c' 'tools/*.h' 'examples/*.c' 'examples/*.h')
[ "${#sources[@]}" -gt 0 ] || exit "$failed"
found=$(perl - "${sources[@]}" <<'PERL'
my $calls = join '|', qw(
    read write readv writev pread pwrite recv recvfrom recvmsg send sendto sendmsg accept accept4
    connect poll ppoll select pselect epoll_wait epoll_pwait flock fsync fdatasync sync sleep usleep
    nanosleep clock_nanosleep pause sigwait sigwaitinfo sigsuspend wait waitpid waitid wait4
    fopen freopen fdopen fread fgets fgetc getc getchar getline getdelim fscanf scanf fwrite fflush
    open openat opendir readdir scandir stat lstat fstatat rename unlink mkdir
    getaddrinfo getnameinfo gethostbyname getpwnam getpwuid getgrnam getgrgid syslog
    system popen pclose pthread_join pthread_mutex_lock pthread_cond_wait pthread_cond_timedwait
    pthread_rwlock_rdlock pthread_rwlock_wrlock pthread_barrier_wait sem_wait mtx_lock cnd_wait);
for my $file (@ARGV) {
    open my $in, '<', $file or next;
    local $/;
    my $text = <$in>;
    $text =~ s{(/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+')}
              {my $t = $1; $t =~ s/[^\n]/ /g; $t}gse;
    my ($number, $function) = (0, '-');
    for my $line (split /\n/, $text) {
        $number++;
        $function = $1 if $line =~ /^[A-Za-z_][^;=]*?\b(\w+)\s*\([^;]*$/;
        print "$file $function $1 $number\n" while $line =~ /(?<![\w.>])($calls)\s*\(/g;
        $function = '-' if $line =~ /^\}/;
    }
}
PERL
)

used=''
while read -r file function call number; do
    [ -n "$file" ] || continue
    if grep -qF -- "$file $function $call " <<<"$allowed"; then
        used+="$file $function $call"$'\n'
    elif grep -qF -- "$file $function * " <<<"$allowed"; then
        used+="$file $function *"$'\n'
    else
        finding "$file:$number: $function() calls $call(), which may hold up a shard"
    fi
done <<<"$found"

# The list does not outlive what it allows.
while read -r file function call _; do
    [ -n "$file" ] && [ -f "$file" ] || continue
    grep -qxF -- "$file $function $call" <<<"$used" ||
        finding "$file: $function() calls $call() no more; take it off the list in tests/lint/blocking.sh"
done < <(sed 's/#.*//' <<<"$allowed")
exit "$failed"
