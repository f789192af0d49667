import uWS from 'uWebSockets.js';

// In the library, not in its types.
declare module 'uWebSockets.js' {
  interface TemplatedApp {
    listen(
      host: string,
      port: number,
      options: number,
      callback: (socket: us_listen_socket | false) => void,
    ): TemplatedApp;
  }
  interface WebSocket<UserData> {
    sendFirstFragment(message: RecognizedString, isBinary: boolean, compress: boolean): number;
    sendFragment(message: RecognizedString, compress: boolean): number;
    sendLastFragment(message: RecognizedString, compress: boolean): number;
  }
  function _cfg(key: 'silent'): void;
  const LIBUS_LISTEN_DEFAULT: number;
  const LIBUS_LISTEN_EXCLUSIVE_PORT: number;
}

// No header that names the server on any response.
uWS._cfg('silent');

export { uWS };
