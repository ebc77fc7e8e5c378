// What may stand between two messages of a streaming answer and means nothing. A client that has left is noticed by it.

/** Between server-sent events this is a comment. */
export const blankComment = ':\n';
/** Before a line of JSON this is white space of the line. A line of its own would be a text that is no JSON. */
export const blankSpace = ' ';
