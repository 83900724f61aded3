using System.Globalization;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>
/// A row as one line, "RESULT ours NAME BxT Lnn | key value | ...": lines of several programs that measure the same shapes lie beside each
/// other.
/// </summary>
internal static class ResultLine
{
    /// <param name="name">What is measured, its type among it.</param>
    /// <param name="shape">Rows by tokens of a step, and the layers of the model.</param>
    /// <param name="milliseconds">Of each step.</param>
    /// <param name="memory">Of the card.</param>
    /// <param name="loss">Of the last step.</param>
    /// <param name="parameters">How many train.</param>
    /// <param name="more">Other keys and values, "key value".</param>
    public static string Of(
        string name, StepShape shape, IReadOnlyList<double> milliseconds, CardMemory memory, double loss, long parameters,
        params string[] more)
    {
        double median = Statistics.Median(milliseconds);
        return string.Join(" | ",
        [
            $"RESULT ours {name} {shape}",
            Text($"step_ms {median:F1} (min {milliseconds.Min():F1}, max {milliseconds.Max():F1}, n {milliseconds.Count})"),
            Text($"tok/s {shape.Batch * shape.Tokens / median * 1e3:F0}"),
            .. more,
            Text($"alloc_peak_MB -1 | card_MB peak {memory.PeakMB:F0} | loss {loss:F4} | params {parameters}"),
        ]);
    }

    /// <summary>The same of decoding.</summary>
    /// <param name="type">In which it computes.</param>
    /// <param name="shape">Rows by new tokens.</param>
    /// <param name="promptLength">Tokens of each prompt.</param>
    /// <param name="prefill">Seconds until the first token.</param>
    /// <param name="decode">Seconds for the others.</param>
    /// <param name="memory">Of the card.</param>
    public static string OfDecoding(
        ScalarType type, StepShape shape, int promptLength, double prefill, double decode, CardMemory memory)
    {
        double speed = shape.Batch * (shape.Tokens - 1) / decode, each = decode / (shape.Tokens - 1) * 1e3;
        return Text($"RESULT ours generate {Name(type)} {shape.Batch}x{shape.Tokens} | decode_tok/s {speed:F1} | ms/token {each:F1} | ")
            + Text($"prefill_ms {prefill * 1e3:F1} ({shape.Batch}x{promptLength}) | ")
            + Text($"alloc_peak_MB -1 | card_MB peak {memory.PeakMB:F0}");
    }

    /// <summary>A type as PyTorch writes it.</summary>
    public static string Name(ScalarType type) => type.ToString().ToLowerInvariant();

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}

/// <summary>What a step sees.</summary>
/// <param name="Batch">Rows.</param>
/// <param name="Tokens">Of each.</param>
/// <param name="Layers">Of the model.</param>
internal sealed record StepShape(int Batch, int Tokens, int Layers)
{
    public override string ToString() => FormattableString.Invariant($"{Batch}x{Tokens} L{Layers}");
}
