import { useEffect, useState } from "react";
import "./key-field.css";

/** Text that keys have to contain, asked for when the typing rests. */
export function KeyField({ value, onChange }: { value: string; onChange: (key: string) => void }) {
  const [typed, setTyped] = useState(value);
  const [known, setKnown] = useState(value);
  if (known !== value) {
    setKnown(value);
    setTyped(value);
  }
  useEffect(() => {
    if (typed === value) return undefined;
    const timer = window.setTimeout(() => onChange(typed), 250);
    return () => window.clearTimeout(timer);
  }, [typed, value, onChange]);
  return (
    <input
      type="search"
      className="key-field"
      aria-label="Text in the key"
      placeholder="Text in the key"
      maxLength={1024}
      value={typed}
      onChange={(event) => setTyped(event.target.value)}
    />
  );
}
