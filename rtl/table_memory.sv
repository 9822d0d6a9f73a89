// A lane's copy of a table: slope and value of each segment, the value in the low half; read in one cycle. A memory macro:
// synthesis leaves it out, and docs/area.md prices it as one.
module table_memory (
    input clock,
    input write,
    input [vsq_isa::TABLE_ADDRESS_BITS-1:0] write_address,
    input [2*vsq_isa::TABLE_VALUE_BITS-1:0] write_data,
    input [vsq_isa::TABLE_ADDRESS_BITS-1:0] read_address,
    output reg [2*vsq_isa::TABLE_VALUE_BITS-1:0] read_data
);
  reg [2*vsq_isa::TABLE_VALUE_BITS-1:0] segments[0:(1<<vsq_isa::TABLE_ADDRESS_BITS)-1];
  always @(posedge clock) begin
    if (write) segments[write_address] <= write_data;
    read_data <= segments[read_address];
  end
endmodule
