// Where the words of edges stand on the map: on their own line, clear of nodes, of each other and, if it can be, of other lines.

const HEIGHT = 16;
const PADDING = 5;
// Samples of a line between two of its points, for a curve is judged by them.
const SAMPLES = 24;
// Shares of a line's length at which its words are tried, the middle first.
const TRIES = [0.5, 0.44, 0.56, 0.38, 0.62, 0.32, 0.68, 0.26, 0.74, 0.2, 0.8, 0.14, 0.86];

// A curve through points, upright at each of them: as a path's `d`, and as the samples along it.
export function curve(points) {
  const samples = [points[0]];
  let d = `M${points[0].x} ${points[0].y}`;
  points.slice(1).forEach((to, i) => {
    const from = points[i];
    const middle = (from.y + to.y) / 2;
    d += ` C${from.x} ${middle} ${to.x} ${middle} ${to.x} ${to.y}`;
    for (let n = 1; n <= SAMPLES; n++) {
      const t = n / SAMPLES;
      const [a, b, c, e] = [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t ** 2 * (1 - t), t ** 3];
      samples.push({ x: (a + b) * from.x + (c + e) * to.x, y: a * from.y + (b + c) * middle + e * to.y });
    }
  });
  return { d, samples };
}

let pen = null;

// The width that words take on the page, in pixels.
export function widthOf(text, size) {
  pen ??= document.createElement("canvas").getContext("2d");
  pen.font = `${size}px ${getComputedStyle(document.body).fontFamily}`;
  return pen.measureText(text).width;
}

const hits = (a, b) => a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
const holds = (box, { x, y }) => x > box.x && x < box.x + box.width && y > box.y && y < box.y + box.height;

// Labels are { samples, width }, `boxes` what they must not touch. Returns their boxes, in the same order; null of one that
// finds no place. Short lines have the fewest places, and choose first.
export function placed(labels, boxes) {
  // The head of an arrow is seen too.
  const taken = [...boxes, ...labels.map(({ samples }) => ({ x: samples.at(-1).x - 4, y: samples.at(-1).y - 8, width: 8, height: 16 }))];
  const found = labels.map(() => null);
  const order = labels.map((_, at) => at).sort((a, b) => labels[a].samples.length - labels[b].samples.length);
  for (const at of order) {
    const { samples, width } = labels[at];
    const tries = TRIES.map((share) => samples[Math.round(share * (samples.length - 1))])
      .map(({ x, y }) => ({ x: x - width / 2 - PADDING, y: y - HEIGHT / 2, width: width + 2 * PADDING, height: HEIGHT }))
      .filter((box) => !taken.some((other) => hits(box, other)));
    // How much of other lines lies below it.
    const hidden = (box) => labels.reduce((sum, other, i) => sum + (i === at ? 0 : other.samples.filter((point) => holds(box, point)).length), 0);
    found[at] = tries.map((box) => [box, hidden(box)]).reduce((best, one) => (one[1] < best[1] ? one : best), [null, Infinity])[0];
    if (found[at]) taken.push(found[at]);
  }
  return found;
}
