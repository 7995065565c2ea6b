# SPDX-License-Identifier: MIT
"""Two subjects held against each other: neighbouring runs in alternating order, median of ratios."""

import statistics
import sys

from run_process import Failed
from run_report import median_interval, table, verdict

RATE = "requests_per_cpu_second"
SHOWN = ("cpu_per_request", "latency_p50", "latency_p99", "system_calls_per_request")


def _note(text):
    print(text, file=sys.stderr, flush=True)


def _rounds(measure, first, second, parameter, count):
    """[{subject: metrics}] of the rounds in which both subjects worked."""
    rounds, failures = [], 0
    while len(rounds) < count:
        order = (first, second) if len(rounds) % 2 == 0 else (second, first)
        try:
            rounds.append({subject: measure(subject, parameter) for subject in order})
        except Failed as error:
            failures += 1
            _note(f"  round dropped: {error}")
            if failures > 2:
                raise
    return rounds


def compare(report, bench, measure, first, second, parameter, count):
    """
    Measures a pair and adds its lines to the report. measure(subject, parameter) runs a subject
    once and returns its metrics. Returns the table's row.
    """
    rounds = _rounds(measure, first, second, parameter, count)
    ratio, low, high = median_interval([one[first][RATE] / one[second][RATE] for one in rounds])
    row = [parameter, first, second, f"{ratio:.3f}", f"{low:.3f}..{high:.3f}", verdict(low, high)]
    for subject in (first, second):
        for metric in rounds[0][subject]:
            values = [one[subject][metric] for one in rounds]
            middle, smallest, largest = median_interval(values)
            report.add(bench=bench, subject=subject, parameter=parameter, metric=metric,
                       value=middle, low=smallest, high=largest, beside=f"{first}:{second}",
                       rounds=len(rounds), values=values)
    for metric in SHOWN:
        row.append(" / ".join(_cell(rounds, subject, metric) for subject in (first, second)))
    report.add(bench=bench, subject=first, parameter=parameter, metric=f"{RATE}_ratio", unit="1",
               to=second, value=ratio, low=low, high=high, rounds=len(rounds))
    _note("  " + "  ".join(row[:6]))
    return row


def _cell(rounds, subject, metric):
    values = [one[subject][metric] for one in rounds if metric in one[subject]]
    if not values:
        return "-"
    value = statistics.median(values)
    return f"{value:.2f}" if value < 1000 else f"{value:.0f}"


def print_rows(title, rows):
    print(f"\n{title}: requests per CPU-second of the first to the second, median of the rounds'"
          " ratios; then first / second")
    table(["parameter", "first", "second", "ratio", "95 %", "first is", "CPU us/request",
           "p50 us", "p99 us", "calls/request"], rows)


def compare_all(report, bench, measure, pairs, parameters, options, available):
    """Every pair under every parameter that --only lets through. Returns the number of failures."""
    rows, failures = [], 0
    for parameter in parameters:
        for first, second in pairs:
            name = f"{bench}/{parameter}/{first}:{second}"
            if options.only and not options.only.search(name):
                continue
            missing = [subject for subject in (first, second) if not available(subject)]
            if missing:
                _note(f"{name}: left out, no {' and no '.join(missing)}")
                continue
            _note(name)
            try:
                rows.append(compare(report, bench, measure, first, second, parameter,
                                    options.rounds))
            except Failed as error:
                failures += 1
                _note(f"{name}: failed: {error}")
    if rows:
        print_rows(bench, rows)
    return failures
