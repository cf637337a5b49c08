package resp

// holdAnswer counts the memory of an answer that is about to be written. If all connections together hold
// too much, those that hold most are cut off: clients that ask for much and do not read.
func (c *conn) holdAnswer(bytes int) {
	if bytes <= replyBytesKept {
		return
	}
	c.held.Store(int64(bytes))
	if c.server.answers.Add(int64(bytes)) > c.server.limits.AnswersBytes {
		c.server.cutOffLargest()
	}
}

// releaseAnswer counts an answer no more. Who cuts a connection off has done it already.
func (c *conn) releaseAnswer() { c.server.answers.Add(-c.held.Swap(0)) }

// cutOffLargest kills connections until the others hold no more than they may.
func (s *Server) cutOffLargest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.answers.Load() > s.limits.AnswersBytes {
		var largest *conn
		most := int64(0)
		for _, c := range s.conns {
			if held := c.held.Load(); held > most {
				largest, most = c, held
			}
		}
		if largest == nil {
			return
		}
		largest.releaseAnswer()
		largest.logger.Warn("client cut off: answers take too much memory, its own the most", "bytes", most)
		s.stats.cutOff.Add(1)
		largest.kill()
	}
}
