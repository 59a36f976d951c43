"""How things stand on the page: what must not lie on something else, and colours that the eye must tell apart."""

from watched_page import WIDE

# Elements (of a selector) whose boxes touch one of another selector, or of the same one.
OVERLAPS = """([own, others]) => {
    const boxes = (selector) => [...document.querySelectorAll(selector)].map((e) => [e, e.getBoundingClientRect()]).filter(([, b]) => b.width);
    const hits = (a, b) => a.left < b.right - 0.5 && b.left < a.right - 0.5 && a.top < b.bottom - 0.5 && b.top < a.bottom - 0.5;
    return boxes(own).flatMap(([e, a]) => boxes(others).filter(([f, b]) => f !== e && hits(a, b)).map(([f]) => `${e.textContent} / ${f.textContent}`));
}"""

# What can be pressed or filled in, and lies on something else that can be.
PRESSED = """() => {
    const all = [...document.querySelectorAll('main :is(button, input, select, summary, a:not(svg a))')].map((e) => [e, e.getBoundingClientRect()]).filter(([, b]) => b.width && b.height);
    const hits = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;
    const said = (e) => `${e.tagName} ${e.textContent.slice(0, 40)}`;
    return all.flatMap(([e, a], i) => all.slice(i + 1).filter(([f, b]) => !e.contains(f) && !f.contains(e) && hits(a, b)).map(([f]) => `${said(e)} / ${said(f)}`));
}"""

# Draws with the page's own functions: burn rates up to `most` with the limits of the burn rate, and the texts of the chart.
DRAW = """async ([most, width]) => {
    const { chart } = await import('/assets/chart.js');
    const { coloured } = await import('/assets/colours.js');
    document.getElementById('trial')?.remove();
    const limits = [[14.4, 'pages over 5 min'], [6, 'pages over 30 min'], [1, 'all of the budget, in its time']].map(([value, means]) => ({ value, means }));
    const lines = coloured([{ name: 'a', points: [[0, most / 2], [60e6, most]] }]);
    const panel = chart('trial', { lines, limits, format: (value) => `${+value.toPrecision(3)}`, width });
    const main = document.getElementById('main');
    const trial = Object.assign(document.createElement('section'), { id: 'trial' });
    trial.className = 'board';
    trial.style.width = `${Math.min(width, innerWidth - 40)}px`;
    trial.append(panel);
    main.prepend(trial);
    return [...trial.querySelectorAll('text')].map((text) => text.textContent);
}"""

# The least distance in OKLab between colours as the screen has them, of lines with these names and hues.
NEAREST = """async (lines) => {
    const { coloured } = await import('/assets/colours.js');
    const pen = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const screen = (one) => {
        const line = Object.assign(document.createElementNS('http://www.w3.org/2000/svg', 'polyline'), {});
        line.setAttribute('class', 'line');
        line.style.setProperty('--hue', one.hue);
        line.style.setProperty('--shade', one.shade);
        const chart = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
        chart.setAttribute('class', 'chart');
        chart.append(line);
        document.body.append(chart);
        pen.fillStyle = getComputedStyle(line).stroke;
        pen.fillRect(0, 0, 1, 1);
        chart.remove();
        const [r, g, b] = [...pen.getImageData(0, 0, 1, 1).data].map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
        const [l, m, s] = [[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.63]].map(([x, y, z]) => Math.cbrt(x * r + y * g + z * b));
        return [0.2105 * l + 0.7936 * m - 0.0041 * s, 1.978 * l - 2.4286 * m + 0.4506 * s, 0.0259 * l + 0.7828 * m - 0.8087 * s];
    };
    const found = coloured(lines).map(screen);
    let nearest = [Infinity];
    found.forEach((a, i) => found.slice(0, i).forEach((b, j) => {
        const far = Math.hypot(...a.map((v, at) => v - b[at]));
        if (far < nearest[0]) nearest = [far, lines[i].name, lines[j].name];
    }));
    return nearest;
}"""

# Of a button that can be pressed and of one that cannot: its border, and how its words stand out from it.
BUTTONS = """() => {
    const pen = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const light = (colour) => {
        pen.fillStyle = colour;
        pen.fillRect(0, 0, 1, 1);
        const [r, g, b] = [...pen.getImageData(0, 0, 1, 1).data].map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
    };
    return [false, true].map((disabled) => {
        const button = Object.assign(document.createElement('button'), { disabled, textContent: 'Send' });
        document.getElementById('main').append(button);
        const { color, backgroundColor, borderTopStyle, cursor } = getComputedStyle(button);
        const [a, b] = [light(color), light(backgroundColor)];
        button.remove();
        return { contrast: Math.max(a, b) / Math.min(a, b), border: borderTopStyle, cursor };
    });
}"""

SERVICES = [("api-gateway", 262), ("user-service", 165), ("order-service", 65), ("notification-service", 330), ("order-validator", 215)]
# Twelve lines, as many as a chart has: routes, services of the lab and others beside them, and names that wish for one hue.
LINES = [
    [{"name": f"GET /{at}"} for at in range(12)],
    [{"name": name, "hue": hue} for name, hue in SERVICES] + [{"name": f"other {at}"} for at in range(7)],
    [{"name": f"twin {at}", "hue": 200 + at} for at in range(12)],
]
# Below this two thin lines are taken for one.
TOLD_APART = 0.08


def check_overlaps(watched, what, own, others=None):
    """That no box of `own` lies on another, or on one of `others`."""
    found = watched.page.evaluate(OVERLAPS, [own, others or own])
    watched.expect(not found, f"{what}: one lies on another: {found[:3]}")


def check_charts(watched):
    """Limits and axes of charts whatever their values, in a wide and in a narrow window; the colours of lines in both schemes."""
    for window, widths in ((WIDE, (400, 640)), ({"width": 390, "height": 800}, (400, 640))):
        watched.page.set_viewport_size(window)
        for width in widths:
            for most in (0, 0.4, 5, 13, 20, 60, 115, 3_000):
                texts = watched.page.evaluate(DRAW, [most, width])
                what = f"a burn rate up to {most}, {width} wide at {window['width']} px"
                check_overlaps(watched, what, "#trial .limit text")
                watched.expect(any("1 all of the budget" in text or "· 1" in text for text in texts) or most == 3_000, f"{what}: the lowest limit is not drawn: {texts}")
                watched.expect("0" in texts and len(set(texts)) > 4, f"{what}: the axes say only {texts}")
    watched.page.evaluate("document.getElementById('trial').remove()")
    watched.page.set_viewport_size(WIDE)
    for scheme in ("dark", "light"):
        watched.page.emulate_media(color_scheme=scheme)
        for lines in LINES:
            far, *names = watched.page.evaluate(NEAREST, lines)
            watched.expect(far >= TOLD_APART, f"{scheme}: the lines {names} have nearly one colour ({far:.3f})")


def check_disabled(watched):
    """In both schemes a button that cannot be pressed differs by its border and its words, which can be read still."""
    for scheme in ("dark", "light"):
        watched.page.emulate_media(color_scheme=scheme)
        able, disabled = watched.page.evaluate(BUTTONS)
        differs = disabled["border"] != able["border"] and disabled["cursor"] != able["cursor"] and disabled["contrast"] < able["contrast"] / 2
        watched.expect(differs and disabled["contrast"] >= 3, f"{scheme}: a disabled button looks like {disabled}, others like {able}")


def check_pressed(watched, what):
    """That nothing which can be pressed lies on something else that can."""
    found = watched.page.evaluate(PRESSED)
    watched.expect(not found, f"{what}: one lies on another: {found[:3]}")
