import { describe, expect, it } from "vitest";
import type { Limits } from "../api/messages";
import { faultOf } from "../labels/naming";
import { boxFault, imageFaults, leastSide, moved, settled } from "./rules";

const SIZE = { width: 100, height: 50 };
const box = (left: number, top: number, width: number, height: number, label = "example") => ({
  label,
  left,
  top,
  width,
  height,
});

describe("settled", () => {
  it.each([
    ["rounds edges, not lengths", [1.4, 2.6, 10.4, 10.2], [1, 3, 11, 10]],
    ["clips at the left top", [-5, -7.5, 20, 20], [0, 0, 15, 13]],
    ["clips at the right bottom", [90, 40, 30, 30], [90, 40, 10, 10]],
    ["keeps one pixel at least", [10.2, 10.2, 0.1, 0.1], [10, 10, 1, 1]],
    ["keeps one pixel inside at the far corner", [100, 50, 4, 4], [99, 49, 1, 1]],
    ["takes the whole picture", [-3, -3, 200, 200], [0, 0, 100, 50]],
  ])("%s", (_, [left = 0, top = 0, width = 0, height = 0], [l = 0, t = 0, w = 0, h = 0]) => {
    expect(settled({ left, top, width, height }, SIZE)).toEqual({ left: l, top: t, width: w, height: h });
  });
});

describe("moved", () => {
  it("keeps the size and stays inside", () => {
    expect(moved({ left: 80, top: 5, width: 15, height: 10 }, 10, -10, SIZE)).toEqual({
      left: 85,
      top: 0,
      width: 15,
      height: 10,
    });
  });
});

describe("boxFault", () => {
  it.each([
    ["inside", box(0, 0, 100, 50), ""],
    ["fractions", box(0.5, 0.5, 10.25, 10.75), ""],
    ["left of it", box(-1, 0, 10, 10), "below 0"],
    ["right of it", box(95, 0, 6, 10), "beyond the image of 100 × 50"],
    ["below it", box(0, 45, 6, 6), "beyond"],
    ["one pixel wide", box(0, 0, 1, 10), "at least 2 × 2"],
    ["no number", box(Number.NaN, 0, 10, 10), "missing"],
    ["no label", box(0, 0, 10, 10, ""), "needs a name"],
  ])("%s", (_, given, fault) => {
    if (fault) expect(boxFault(given, SIZE)).toContain(fault);
    else expect(boxFault(given, SIZE)).toBe("");
  });

  it("scales as Rekognition does", () => {
    const huge = { width: 4096, height: 2000 };
    expect(leastSide(huge)).toBe(4);
    expect(boxFault(box(0, 0, 3, 3), huge)).toContain("at least 4 × 4");
    expect(boxFault(box(0, 0, 4, 4), huge)).toBe("");
    // Exactly one pixel after scaling is not over one pixel.
    const twice = { width: 2560, height: 100 };
    expect(leastSide(twice)).toBe(3);
    expect(boxFault(box(0, 0, 2, 2), twice)).toContain("at least 3 × 3");
  });

  it("judges numbers alone where the size is not known", () => {
    expect(boxFault(box(0, 0, 9000, 1), null)).toBe("");
    expect(boxFault(box(0, -1, 10, 10), null)).toContain("below 0");
  });
});

describe("labels and counts", () => {
  const limits: Limits = {
    upload_images: 30,
    upload_image_size_bytes: 1,
    edits: 1,
    labels_per_dataset: 250,
    labels_per_image: 2,
    boxes_per_image: 1,
  };

  it("counts characters as people do", () => {
    expect(faultOf("é".repeat(255))).toBe("");
    expect(faultOf("🐦".repeat(255))).toBe("");
    expect(faultOf("x".repeat(256))).toContain("255");
  });

  it("names each limit that is passed", () => {
    expect(imageFaults(["a", "b"], [box(0, 0, 5, 5)], limits)).toEqual([]);
    expect(imageFaults(["a", "b", "c"], [box(0, 0, 5, 5), box(1, 1, 5, 5)], limits)).toHaveLength(2);
  });
});
