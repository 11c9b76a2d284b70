import { cleanup, render, screen } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { afterEach, beforeAll, expect, it, vi } from "vitest";
import { LabelPicker, type Picked } from "./LabelPicker";

const choices = ["echo", "echo-dot", "kindle"].map((label) => ({
  label,
  images: 3,
  boxedImages: 0,
  isNew: false,
}));

beforeAll(() => {
  // What the test's DOM has no layout or top layer for.
  HTMLDialogElement.prototype.showModal = function showModal() {
    this.open = true;
  };
  HTMLDialogElement.prototype.close = function close() {
    this.open = false;
  };
  Element.prototype.scrollIntoView = () => undefined;
});
afterEach(cleanup);

function open() {
  const onPick = vi.fn<(picked: Picked) => void>();
  const nothing = () => undefined;
  render(
    <LabelPicker
      count={2}
      rows={null}
      choices={choices}
      onPick={onPick}
      onManage={nothing}
      onClose={nothing}
    />,
  );
  return onPick;
}

it.each<[string, string, Picked]>([
  ["the best match", "ech{Enter}{Enter}", { assign: ["echo"], remove: [] }],
  ["the next one", "ech{ArrowDown}{Enter}{Enter}", { assign: ["echo-dot"], remove: [] }],
  ["a new one", "fire tv {Enter}{Enter}", { assign: ["fire tv"], remove: [] }],
  ["one that goes", "kin{Shift>}{Enter}{/Shift}{Enter}", { assign: [], remove: ["kindle"] }],
  ["several", "kin{Enter}echo-{Enter}{Enter}", { assign: ["kindle", "echo-dot"], remove: [] }],
])("picks %s by keys alone", async (_, keys, picked) => {
  const onPick = open();
  await userEvent.type(screen.getByRole("combobox"), keys);
  expect(onPick).toHaveBeenCalledExactlyOnceWith(picked);
});

it("takes nothing that is longer than a label may be", async () => {
  const onPick = open();
  await userEvent.click(screen.getByRole("combobox"));
  await userEvent.paste("x".repeat(256));
  await userEvent.keyboard("{Enter}{Enter}");
  expect(onPick).not.toHaveBeenCalled();
  expect(screen.getByText(/at most 255 characters/)).toBeTruthy();
});
