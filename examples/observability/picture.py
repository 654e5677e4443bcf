"""Draws dashboard.json as SVG, with the answers of a Prometheus: the panels, where they are and what
they ask for are Grafana's own settings, the rest is only as much like Grafana as it needs to be.

`picture.sh` calls it.
"""

import json
import pathlib
import sys
import time
import urllib.parse
import urllib.request
from xml.sax.saxutils import escape

SERVER = sys.argv[1]
BEGUN, STEP = int(sys.argv[2]), 15
ENDED = BEGUN + 155 * 60 - STEP
WIDTH, ROW, GAP, TOP = 1200, 26, 8, 44
COLOURS = ["#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#8ab8ff", "#ffa6b0"]
NAMED = {"green": "#37872d", "yellow": "#b8860b", "red": "#c4162a"}


def ask(path, **parameters):
    url = f"{SERVER}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        answer = json.load(answer)
    assert answer["status"] == "success", answer
    return answer["data"]


def wait():
    for _ in range(100):
        try:
            return ask("status/buildinfo")["version"]
        except OSError:
            time.sleep(0.1)
    sys.exit("no Prometheus answers")


def queried(panel):
    """The lines of a panel: name, and points of time and value."""
    lines = []
    for target in panel["targets"]:
        # At this step, and samples 15 s apart, Grafana makes a minute of it.
        query = target["expr"].replace("$__rate_interval", "60s")
        found = ask("query_range", query=query, start=BEGUN, end=ENDED, step=STEP)["result"]
        for series in found:
            name = target["legendFormat"]
            for label, value in series["metric"].items():
                name = name.replace("{{%s}}" % label, value)
            points = [(int(at), float(value)) for at, value in series["values"]]
            lines.append((name, [it for it in points if it[1] == it[1] and abs(it[1]) != float("inf")]))
    return lines


def spell(value, unit):
    if unit == "reqps":
        return f"{value:.3g} req/s"
    if unit != "s":
        return f"{value:.3g}"
    for span, name in [(86400, "days"), (3600, "hours"), (60, "mins"), (1, "s")]:
        if abs(value) >= span:
            return f"{value / span:.3g} {name}"
    return f"{value * 1000:.3g} ms"


def text(x, y, what, size=12, colour="#ccccdc", **more):
    more = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in more.items())
    return f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" fill="{colour}"{more}>{escape(what)}</text>'


def stat(panel, x, y, w, h):
    unit = panel["fieldConfig"]["defaults"].get("unit", "short")
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    lines = [it for it in queried(panel) if it[1]]
    wide = w / max(len(lines), 1)
    for number, (name, points) in enumerate(lines):
        value = points[-1][1]
        colour = [it["color"] for it in steps if it["value"] is None or value >= it["value"]][-1]
        left = x + number * wide
        yield (f'<rect x="{left + 2:.0f}" y="{y}" width="{wide - 4:.0f}" height="{h}" rx="2" '
               f'fill="{NAMED[colour]}"/>')
        middle = left + wide / 2
        size = min(12, int(1.6 * wide / max(len(name), 1)))
        yield text(middle, y + h / 2 - 8, name, size, "#fff", text_anchor="middle")
        yield text(middle, y + h / 2 + 20, spell(value, unit), 24, "#fff", text_anchor="middle")


def ceiling(value):
    """A round number that is no smaller, and a quarter of which is round too."""
    size = 1e-6
    while True:
        for factor in (1, 2, 4):
            if size * factor >= value:
                return size * factor
        size *= 10


def curves(panel, x, y, w, h):
    unit = panel["fieldConfig"]["defaults"].get("unit", "short")
    lines = [it for it in queried(panel) if it[1]]
    top = ceiling(max([value for _, points in lines for _, value in points], default=0) or 1)
    left, right, bottom = x + 62, x + w - 8, y + h - 48
    for quarter in range(5):
        level = bottom - (bottom - y) * quarter / 4
        yield f'<path d="M{left} {level:.0f}H{right}" stroke="#2f3136"/>'
        yield text(left - 6, level + 4, spell(top * quarter / 4, unit) if quarter else "0", 10,
                   "#8e8e9a", text_anchor="end")
    place = lambda at: left + (right - left) * (at - BEGUN) / (ENDED - BEGUN)
    for at in range(BEGUN, ENDED + 1, 1800):
        yield text(place(at), bottom + 14, time.strftime("%H:%M", time.gmtime(at)), 10, "#8e8e9a",
                   text_anchor="middle")
    legend, line = left, y + h - 20
    for number, (name, points) in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        path, before = [], None
        for index, (at, value) in enumerate(points):
            joined = before is not None and at - before <= STEP
            after = points[index + 1] if index + 1 < len(points) else (0, None)
            # Points on a level line say nothing.
            if not (joined and value == points[index - 1][1] == after[1] and after[0] - at <= STEP):
                level = bottom - (bottom - y) * value / top
                path.append(f'{"L" if joined else "M"}{place(at):.1f} {level:.1f}')
            before = at
        yield (f'<path d="{"".join(path)}" fill="none" stroke="{colour}" stroke-width="1.5" '
               f'stroke-linecap="round"/>')
        long = 28 + 5.8 * len(name)
        if legend + long > right:
            legend, line = left, line + 16
        yield f'<rect x="{legend:.0f}" y="{line - 5}" width="10" height="3" fill="{colour}"/>'
        yield text(legend + 14, line, name, 11)
        legend += long


def main():
    version = wait()
    dashboard = json.loads(pathlib.Path(__file__).with_name("dashboard.json").read_text())
    rows = max(it["gridPos"]["y"] + it["gridPos"]["h"] for it in dashboard["panels"])
    height = TOP + rows * ROW + 24
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="Inter, Helvetica, Arial, sans-serif" role="img" '
        'aria-label="The dashboard, drawn with recorded data">',
        f'<rect width="{WIDTH}" height="{height}" fill="#111217"/>',
        text(GAP, 28, dashboard["title"], 18),
    ]
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        x, w = at["x"] * WIDTH // 24 + GAP // 2, at["w"] * WIDTH // 24 - GAP
        y, h = TOP + at["y"] * ROW, at["h"] * ROW - GAP
        out.append(f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="2" fill="#181b1f" stroke="#2b2d33"/>')
        out.append(text(x + 8, y + 19, panel["title"], 13, font_weight="bold"))
        draw = {"stat": stat, "timeseries": curves}[panel["type"]]
        out.extend(draw(panel, x + 6, y + 30, w - 12, h - 36))
    out.append(text(GAP, height - 8, "Drawn by examples/observability/picture.py, not by Grafana: the panels and "
                    f"queries of dashboard.json, answered by Prometheus {version}.", 11, "#8e8e9a"))
    out.append("</svg>")
    print("\n".join(out))


main()
