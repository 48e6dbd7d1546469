'use strict';

/**
 * The script of the page: it draws, it asks for a table, and it tells what it has seen.
 */

// Names are long, so that there is something to gain.
const numberOfRowsThatAreShown = 24;

/** A class with what grammars are known to stumble over. */
class Painter {
  #context;

  static colours = ['#336699', "#996633", `#6${'6'}9933`];

  constructor(canvas) {
    this.#context = canvas.getContext('2d');
  }

  get width() {
    return this.#context.canvas.width;
  }

  bars(values) {
    const context = this.#context, step = this.width / values.length;
    values.forEach((value, index) => {
      context.fillStyle = Painter.colours[index % Painter.colours.length];
      context.fillRect(index * step + 2, 150 - value, step - 4, value);
    });
    return this;
  }

  wave(height) {
    const context = this.#context;
    context.beginPath();
    for (let x = 0; x <= this.width; x++) {
      const y = 80 + Math.sin(x / 20) * height;
      if (x === 0) context.moveTo(x, y); else context.lineTo(x, y);
    }
    context.strokeStyle = 'rgba(0, 0, 0, 0.6)';
    context.lineWidth = 2;
    context.stroke();
    return this;
  }
}

// A line's end that ends a statement, and some that do not.
const told = []
const say = (...words) => { told.push(words.join(' ')) }
let counter = 1
counter
++
counter
say('counter', counter)

function nothing() {
  return
  /* never */ 'something'
}

const dividing = 10 / 2 / 5, pattern = /[/\]"'`]+ \/ {2}x/g, after = 3
say('dividing', dividing, after, 'a"/ /  x'.replace(pattern, '-'))
say('nothing', typeof nothing())
say('plus', 1 + +'2', 3 - -4, + +'5')
say('template', `a   ${ `b   ${ 1 + 1 }   c` }   d
    next line`)
say('strings', 'it\'s', "a \"b\"", '\u0041\x42', 'line \
continued')
say('numbers', 0x10, 1_000, .5, 5., 1e3, 0b11, 10n)
say('optional', ({ a: null }).a?.b ?? 'none', ({}).toString.call`x`.length)
label: for (const a of [1, 2, 3]) { for (const b of [1, 2]) { if (b === 2) continue label; if (a === 3) break label; say('loop', a, b) } }
say('regexp', /=/.test('a = b'), "x".match(/x/y)?.index, [1, 2].map(x => ({ x })).length)
say('comment', 'http://example.test/*not*/a//b')
if (told.length > 3) ; else say('never')
do say('once'); while (false)
say('html', '</scr' + 'ipt>', '<!--')
var x = 5, y = 3
say('arrow', x-->y, x)

const describe = { get 'two words'() { return 'two words' }, async *generate() { yield* [1] }, [`computed ${ 1 }`]: 2, async: 1, get: 2 }
say('object', Object.keys(describe).join('|'), describe.async + describe.get)

async function main() {
  const painter = new Painter(document.getElementById('canvas'));
  painter.bars(Array.from({ length: 21 }, (_, n) => (n * n * 7) % 140 + 5)).wave(30);

  const answer = await fetch('/data.json');
  const table = await answer.json();
  say('title', JSON.stringify(table.title));

  const rows = document.getElementById('rows');
  for (const row of table.rows.slice(0, numberOfRowsThatAreShown)) {
    const line = document.createElement('tr');
    for (const key in row) {
      const cell = document.createElement('td');
      cell.textContent = Array.isArray(row[key]) ? row[key].map(tag => JSON.stringify(tag)).join(', ') : String(row[key]);
      line.append(cell);
    }
    rows.append(line);
  }
  say('order', window.order.join(','), document.getElementById('pre').dataset.first);
  const styles = getComputedStyle(document.documentElement);
  say('property', styles.getPropertyValue('--mixed-Case').trim(), styles.getPropertyValue('--space').trim());
  const whole = told.join('; ');
  document.getElementById('told').textContent = whole.length > 900 ? whole.slice(0, 900) : whole;
}

main().catch(error => { document.getElementById('told').textContent = `failed: ${error}` });
