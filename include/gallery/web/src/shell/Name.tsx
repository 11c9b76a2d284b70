/** Labels, keys and file names: anybody's text, which may hold anything but a line's end. */

import "./name.css";

// Characters that are not seen, or that turn the text around them; spaces only where they are easily missed.
const UNSEEN =
  // oxlint-disable-next-line no-control-regex
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|^[ \u00a0]+|[ \u00a0]+$| {2,}/gu;

/** The text in parts: as it is, and the code points of what would not be seen. */
export function parts(text: string): { text: string; isUnseen: boolean }[] {
  const all: { text: string; isUnseen: boolean }[] = [];
  let from = 0;
  for (const match of text.matchAll(UNSEEN)) {
    if (match.index > from) all.push({ text: text.slice(from, match.index), isUnseen: false });
    for (const character of match[0]) all.push({ text: visible(character), isUnseen: true });
    from = match.index + match[0].length;
  }
  if (from < text.length) all.push({ text: text.slice(from), isUnseen: false });
  return all;
}

function visible(character: string): string {
  if (character === " " || character === "\u00a0") return "␣";
  const code = character.codePointAt(0) ?? 0;
  return `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
}

/** A name that cannot disturb what is around it, with characters that are not seen made visible. */
export function Name({ children, className = "" }: { children: string; className?: string }) {
  const all = parts(children);
  return (
    <bdi className={`name ${className}`}>
      {all.every((part) => !part.isUnseen)
        ? children
        : all.map((part, index) =>
            part.isUnseen ? (
              // Parts have no identity but their place.
              // oxlint-disable-next-line react/no-array-index-key
              <span key={index} className="name-unseen" title="a character that is not seen">
                {part.text}
              </span>
            ) : (
              part.text
            ),
          )}
    </bdi>
  );
}

/** A key with its end, which tells images apart, always in sight. */
export function Key({ children }: { children: string }) {
  const cut = children.lastIndexOf("/") + 1;
  return (
    <span className="key" title={children}>
      {cut > 0 && (
        <span className="key-folder">
          <Name>{children.slice(0, cut)}</Name>
        </span>
      )}
      <Name className="key-file">{children.slice(cut)}</Name>
    </span>
  );
}
