import { render } from "@testing-library/react";
import { expect, it } from "vitest";
import { Key, Name, parts } from "./Name";

it.each<[string, string]>([
  ["plain name", "plain name"],
  ["a\u202Eb", "a[U+202E]b"],
  ["\u0007", "[U+0007]"],
  [" x ", "[␣]x[␣]"],
  ["a  b", "a[␣][␣]b"],
  ["zero\u200Bwidth", "zero[U+200B]width"],
  ["مكبر صوت", "مكبر صوت"],
])("shows every character of %j", (text, shown) => {
  expect(
    parts(text)
      .map((part) => (part.isUnseen ? `[${part.text}]` : part.text))
      .join(""),
  ).toBe(shown);
});

it("is text, whatever it looks like", () => {
  const { container } = render(<Name>{"<img src=x onerror=alert(1)>"}</Name>);
  expect(container.querySelector("img")).toBeNull();
  expect(container.textContent).toBe("<img src=x onerror=alert(1)>");
});

it("keeps the end of a key apart from its folder", () => {
  const { container } = render(<Key>{"a/b/c.jpg"}</Key>);
  expect(container.querySelector(".key-file")?.textContent).toBe("c.jpg");
});
