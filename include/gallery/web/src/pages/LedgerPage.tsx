/** To be made. */
export function LedgerPage() {
  return <p>Ledger</p>;
}
