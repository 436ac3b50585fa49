/** Reads what people ask of a call out of getStats: rates are differences between two readings. */
export class CallStats {
  /** @type {Map<string, { at: number, bytes: number }>} */
  #before = new Map();

  /**
   * @param {RTCStatsReport} report
   * @returns {import('../mobz.js').CallStats}
   */
  read(report) {
    /** @type {any[]} */
    const all = [...report.values()];
    const of = (/** @type {string} */ type, /** @type {string} */ kind) => all.find((it) => it.type === type && it.kind === kind);
    const transport = all.find((it) => it.type === 'transport' && it.selectedCandidatePairId);
    const pair = transport && report.get(transport.selectedCandidatePairId);
    const roundTrip = pair?.currentRoundTripTime;
    return {
      roundTrip: roundTrip === undefined ? undefined : roundTrip * 1000,
      received: { audio: this.#stream(of('inbound-rtp', 'audio'), report), video: this.#stream(of('inbound-rtp', 'video'), report) },
      sent: { audio: this.#stream(of('outbound-rtp', 'audio'), report), video: this.#stream(of('outbound-rtp', 'video'), report) },
      path: pair && {
        local: report.get(pair.localCandidateId)?.candidateType,
        remote: report.get(pair.remoteCandidateId)?.candidateType,
        protocol: report.get(pair.localCandidateId)?.relayProtocol ?? report.get(pair.localCandidateId)?.protocol,
      },
    };
  }

  /**
   * @param {any} it
   * @param {RTCStatsReport} report
   * @returns {import('../mobz.js').StreamStats | undefined}
   */
  #stream(it, report) {
    if (!it) return undefined;
    const bytes = it.bytesReceived ?? it.bytesSent ?? 0;
    const before = this.#before.get(it.id);
    this.#before.set(it.id, { at: it.timestamp, bytes });
    return {
      bitrate: before && it.timestamp > before.at ? ((bytes - before.bytes) * 8000) / (it.timestamp - before.at) : 0,
      width: it.frameWidth,
      height: it.frameHeight,
      framesPerSecond: it.framesPerSecond,
      frames: it.framesDecoded ?? it.framesEncoded ?? 0,
      lost: it.packetsLost ?? 0,
      codec: report.get(it.codecId)?.mimeType?.split('/')[1],
    };
  }
}
