/** What a label may be called, as `LabelName` of the server's messages has it. */

export const MAX_LABEL = 255;

/** The name as it is used: without control characters, which no label has, and without space around it. */
export const cleaned = (text: string): string => text.replaceAll(/[\p{Cc}\u2028\u2029]+/gu, " ").trim();

/** What is wrong with a new name; empty where nothing is. */
export function faultOf(name: string): string {
  if (!name) return "A label needs a name.";
  // Characters as the server counts them.
  const { length } = [...name];
  if (length > MAX_LABEL) return `A label has at most ${MAX_LABEL} characters; this one has ${length}.`;
  return "";
}

/** Labels with the text in their name; those that begin with it come first. */
export function found<T extends { label: string }>(labels: readonly T[], text: string): T[] {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return [...labels];
  const rank = ({ label }: T) => {
    const name = label.toLowerCase();
    return name === wanted ? 0 : name.startsWith(wanted) ? 1 : name.includes(wanted) ? 2 : 3;
  };
  return labels.filter((each) => rank(each) < 3).toSorted((a, b) => rank(a) - rank(b));
}
