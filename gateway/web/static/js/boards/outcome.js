// Say something, and wait until it is begun, over, or refused.
export function outcome(store, to, text) {
  return new Promise(resolve => {
    const id = store.say(to, text);
    const look = ({detail}) => {
      if (detail?.row?.id !== id || ["waiting", "accepted", "sent"].includes(detail.row.state)) return;
      store.removeEventListener("row", look);
      resolve({...detail.row, wrong: !["started", "done", "read"].includes(detail.row.state)});
    };
    store.addEventListener("row", look);
  });
}
