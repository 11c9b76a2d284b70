/** To be made. */
export function BalancePage() {
  return <p>Balance</p>;
}
