const FULL: Intl.DateTimeFormatOptions = { dateStyle: "medium", timeStyle: "short" };
const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/** A time of these hours, such as "10:15 PM", with its date where that is not today's. */
export function TimeOfDay({ at }: { at: string }) {
  const date = new Date(at);
  return (
    <time dateTime={at} title={date.toLocaleString()}>
      {timeOfDay(date)}
    </time>
  );
}

function timeOfDay(date: Date, now: Date = new Date()): string {
  const isToday = date.toDateString() === now.toDateString();
  return isToday
    ? date.toLocaleTimeString(undefined, { timeStyle: "short" })
    : date.toLocaleString(undefined, FULL);
}

/** A time of the server as people say it, such as "3 hours ago"; its title and its machine's form are exact. */
export function Time({ at, isExact = false }: { at: string; isExact?: boolean }) {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return <>{at}</>;
  const exact = date.toLocaleString(undefined, FULL);
  return (
    <time dateTime={at} title={date.toLocaleString()}>
      {isExact ? exact : ago(date)}
    </time>
  );
}

export function ago(date: Date, now: Date = new Date()): string {
  const seconds = (date.getTime() - now.getTime()) / 1_000;
  const format = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
  for (const [unit, length] of STEPS) {
    if (Math.abs(seconds) >= length) return format.format(Math.round(seconds / length), unit);
  }
  return "just now";
}

/** The time that a snapshot's id begins with, as ISO 8601. */
export function timeOf(snapshotId: string): string {
  return snapshotId.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z.*$/, "$1-$2-$3T$4:$5:$6Z");
}
