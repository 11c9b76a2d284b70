/**
 * `npm run test:firefox`: draw boxes in Firefox, on the built pages below the content security policy that the
 * gallery's server sends, with a made-up server behind them. The browsers' engines differ in where a pointer is.
 *
 * Firefox is looked for where it usually is; FIREFOX names another path.
 */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import puppeteer from "puppeteer-core";
import { build, loadConfigFromFile, preview } from "vite";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PLACES = [
  process.env.FIREFOX,
  "/usr/bin/firefox-esr",
  "/usr/bin/firefox",
  "/Applications/Firefox.app/Contents/MacOS/firefox",
];
// As include/gallery/guard.py sends it.
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; " +
  "font-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'";

const executablePath = PLACES.find((place) => place && existsSync(place));
if (!executablePath) {
  console.error(
    "There is no Firefox here: install it (Debian: apt-get install firefox-esr), or set FIREFOX to it.",
  );
  process.exit(1);
}

/** The built pages with the fake's answers. */
async function serve() {
  const fake = await loadConfigFromFile(
    { command: "serve", mode: "test" },
    `${ROOT}/fixtures/vite.config.ts`,
    ROOT,
    "silent",
  );
  const server = fake?.config.plugins?.flat().find((plugin) => plugin?.name === "fake-server");
  assert(server, "fixtures/vite.config.ts has no fake server");
  await build({ root: ROOT, logLevel: "warn" });
  return preview({
    root: ROOT,
    configFile: false,
    base: "/custom-labels/",
    logLevel: "warn",
    preview: { host: "127.0.0.1", port: 0, headers: { "Content-Security-Policy": POLICY } },
    plugins: [{ name: "fake-preview", configurePreviewServer: (preview) => server.configureServer(preview) }],
  });
}

const site = await serve();
const address = `http://127.0.0.1:${site.httpServer.address().port}/custom-labels/`;
const browser = await puppeteer.launch({ browser: "firefox", executablePath, headless: true });
try {
  await check(await browser.newPage());
  console.log(`${await browser.version()}: boxes are where they were drawn.`);
} finally {
  await browser.close();
  await site.close();
}

async function check(page) {
  const faults = [];
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("console", (message) => {
    if (/content[- ]security[- ]policy/i.test(message.text())) faults.push(message.text());
  });
  await page.setViewport({ width: 1280, height: 800 });
  const answer = await fetch(
    `${address}api/datasets/alexa-devices/train/images?boxed=false&offset=0&limit=1`,
  );
  const [image] = (await answer.json()).images;
  await page.goto(`${address}#/datasets/alexa-devices/train/images/${image.id}`);
  await page.waitForSelector(".stage[data-loaded] .a9s-annotationlayer");

  for (const [key, name] of [
    ["0", "fitted"],
    ["1", "pixel for pixel"],
  ]) {
    await page.keyboard.press(key);
    // Annotorious measures its layer a frame later.
    await page.evaluate(
      () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))),
    );
    const layer = await place(page);
    const from = { x: layer.left + 40, y: layer.top + 30 };
    const until = { x: from.x + 180, y: from.y + 120 };
    await drag(page, from, until);
    const [left, top, width, height] = (await boxes(page)).at(-1);
    const right = (until.x - layer.x) / layer.scale;
    const bottom = (until.y - layer.y) / layer.scale;
    near(left, (from.x - layer.x) / layer.scale, `left edge, ${name}`);
    near(top, (from.y - layer.y) / layer.scale, `upper edge, ${name}`);
    near(left + width, right, `right edge, ${name}`);
    near(top + height, bottom, `lower edge, ${name}`);

    // The corner's handle is grabbed in its middle.
    await drag(page, until, { x: until.x + 60, y: until.y + 40 });
    const resized = (await boxes(page)).at(-1);
    near(resized[0] + resized[2], right + 60 / layer.scale, `resized right edge, ${name}`);
    near(resized[1] + resized[3], bottom + 40 / layer.scale, `resized lower edge, ${name}`);

    await drag(page, { x: from.x + 90, y: from.y + 60 }, { x: from.x + 110, y: from.y + 75 });
    const moved = (await boxes(page)).at(-1);
    near(moved[0], resized[0] + 20 / layer.scale, `moved left edge, ${name}`);
    near(moved[1], resized[1] + 15 / layer.scale, `moved upper edge, ${name}`);
    assert.deepEqual(moved.slice(2), resized.slice(2), `moving keeps the size, ${name}`);

    await page.keyboard.press("ArrowRight");
    assert.deepEqual(
      (await boxes(page)).at(-1),
      [moved[0] + 1, ...moved.slice(1)],
      `moved by a key, ${name}`,
    );
    await page.keyboard.press("Escape");
  }
  assert.equal((await boxes(page)).length, 2);
  await page.keyboard.press("]");
  await page.keyboard.press("Delete");
  assert.equal((await boxes(page)).length, 1, "Delete takes the chosen box away");
  assert.deepEqual(faults, []);
}

/** The part of the picture that is in sight, and how large it is drawn. */
function place(page) {
  return page.$eval(".stage .a9s-annotationlayer", (svg) => {
    const { x, y, width } = svg.getBoundingClientRect();
    const stage = svg.closest(".stage").getBoundingClientRect();
    return {
      x,
      y,
      left: Math.ceil(Math.max(x, stage.x)),
      top: Math.ceil(Math.max(y, stage.y)),
      scale: width / svg.viewBox.baseVal.width,
    };
  });
}

async function drag(page, from, until) {
  await page.mouse.move(from.x, from.y);
  await page.mouse.down();
  await page.mouse.move((from.x + until.x) / 2, (from.y + until.y) / 2);
  await page.mouse.move(until.x, until.y);
  await page.mouse.up();
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
}

/** Left, top, width and height of each box, as the page lists them. */
function boxes(page) {
  return page.$$eval(".box-list > li", (items) =>
    items.map((item) => [...item.querySelectorAll("input[type=number]")].map((input) => Number(input.value))),
  );
}

function near(pixels, wanted, what) {
  assert.ok(Math.abs(pixels - wanted) <= 1, `${what}: ${pixels} in place of ${wanted.toFixed(1)}`);
}
