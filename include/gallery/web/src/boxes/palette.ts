/** A colour for each label: the same one in every picture, on boxes and beside their names. */

/** Hues that stay apart from each other on photographs, for people who see few colours too (after Okabe and Ito). */
const COLOURS = [
  "#e69f00",
  "#56b4e9",
  "#00c08b",
  "#f0e442",
  "#4d8dff",
  "#ff6f3c",
  "#e88bc4",
  "#a3e635",
  "#c084fc",
  "#22d3ee",
] as const;

export function labelColour(label: string): string {
  let sum = 0;
  for (const character of label) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 65_521;
  return COLOURS[sum % COLOURS.length] ?? COLOURS[0];
}
