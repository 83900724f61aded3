using System.Globalization;
using System.Text;

namespace Microsoft.ML.Sorsa.Memory;

/// <summary>
/// What a training will need of its device's memory, by closed formulas, before anything is loaded: <c>mlContext.Sorsa().Estimate(...)</c>.
/// All numbers are bytes of tensors. The parts are not all there at once; <see cref="Peak"/> is the most that there is at one time.
/// docs/memory.md has the formulas. Not counted are what the process takes without a model, fragments, and pages of mapped files, which the
/// operating system takes back when it needs them.
/// </summary>
public sealed class SorsaMemoryEstimate
{
    private const int LargestParts = 4;

    internal SorsaMemoryEstimate()
    {
    }

    /// <summary>Where the model is trained: "cpu", "cuda:0".</summary>
    public string Device { get; internal init; } = "";

    /// <summary>
    /// The weights that do not train: values × bytes of ComputeType, 0.52 bytes a value in NF4. None that are mapped from the files as they
    /// are, on the CPU with ComputeType as stored.
    /// </summary>
    public long Weights { get; internal init; }

    /// <summary>
    /// What trains, r · (in + out) values a projection in float32; and what the method keeps beside it: SORSA and PiSSA what they started
    /// from, as much again; AdaLoRA two running means, twice as much again.
    /// </summary>
    public long Adapters { get; internal init; }

    /// <summary>AdamW's two moments: twice what trains.</summary>
    public long Moments { get; internal init; }

    /// <summary>One number for each that trains.</summary>
    public long Gradients { get; internal init; }

    /// <summary>The weights of the lowest validation loss: as what trains; 0 without validation rows.</summary>
    public long BestWeights { get; internal init; }

    /// <summary>
    /// What forward keeps for backward in the largest micro-batch: tokens, padding included, × layers × what a layer keeps for a token;
    /// with gradient checkpointing two of its inputs alone.
    /// </summary>
    public long Activations { get; internal init; }

    /// <summary>
    /// The scores over the vocabulary at labelled tokens, and the loss's gradient: 3 × labels × vocabulary numbers of float32, and the
    /// scores in ComputeType, for at most LogitsChunkSize labels.
    /// </summary>
    public long Logits { get; internal init; }

    /// <summary>The most while the model is loaded and the adapters are made; the largest decomposition is a part of it.</summary>
    public long StartPeak { get; internal init; }

    /// <summary>The most in a step over the largest micro-batch.</summary>
    public long StepPeak { get; internal init; }

    /// <summary>The most while validation rows are looked at; 0 without them.</summary>
    public long ValidationPeak { get; internal init; }

    /// <summary>The most at the end, while the adapters are reported on, copied and merged.</summary>
    public long EndPeak { get; internal init; }

    /// <summary>The most at any time.</summary>
    public long Peak => new[] { StartPeak, StepPeak, ValidationPeak, EndPeak }.Max();

    /// <summary>Bytes that are free on the device now, within the container's limit; null where that cannot be asked.</summary>
    public long? Available { get; internal init; }

    /// <summary>Whether <see cref="Peak"/> is at most <see cref="Available"/>; null where that is not known.</summary>
    public bool? Fits => Available is { } available ? Peak <= available : null;

    /// <summary>What would take less, what saves the most first; at the end all of it together.</summary>
    public IReadOnlyList<SorsaMemoryRemedy> Remedies { get; internal set; } = [];

    /// <summary>Refuses what does not fit, as <see cref="SorsaFineTuningTrainer.Fit(IDataView)"/> does before it loads a weight.</summary>
    /// <exception cref="InsufficientMemoryException">It does not; the message has the largest parts and what would take less.</exception>
    public void VerifyFits()
    {
        if (Fits == false)
        {
            throw new InsufficientMemoryException(Refusal);
        }
    }

    /// <summary>Where <see cref="Available"/> comes from, to follow "since".</summary>
    internal string AvailableSource { get; init; } = "";

    /// <summary>The micro-batch that takes the most, in words.</summary>
    internal string Batch { get; init; } = "";

    /// <summary>What a log says, in one line.</summary>
    internal string Summary => $"training takes {ByteText.Of(Peak)} on {Device} at its peak ({Large}; largest micro-batch {Batch}), "
        + (Available is { } free ? $"and {ByteText.Of(free)} are free." : "and what is free there cannot be asked.");

    /// <summary>What the error of a training that does not fit says.</summary>
    internal string Refusal => $"Training needs {ByteText.Of(Peak)} of memory on {Device} at its peak, and {ByteText.Of(Available ?? 0)} "
        + $"are free there, since {AvailableSource}. The largest parts, in micro-batches of up to {Batch}: {Large}. "
        + (Remedies.Count > 0
            ? $"What would take less: {string.Join("; ", Remedies.Select(remedy => $"{remedy.Change} ({ByteText.Of(remedy.Peak)})"))}. "
            : "")
        + "Change one of these, free memory, or set MemoryCheck to false to train all the same.";

    private string Large => string.Join(
        ", ", Parts.OrderByDescending(part => part.Bytes).Take(LargestParts).Select(part => $"{part.Name} {ByteText.Of(part.Bytes)}"));

    /// <summary>A table for people.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"Memory on {Device}, largest micro-batch {Batch}:");
        foreach ((string name, long bytes) in Parts.Concat(Phases))
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"  {name,-28}{ByteText.Of(bytes),10}");
        }

        text.AppendLine(CultureInfo.InvariantCulture, $"  {"peak",-28}{ByteText.Of(Peak),10}");
        text.AppendLine(CultureInfo.InvariantCulture, $"  {"available",-28}{(Available is { } free ? ByteText.Of(free) : "unknown"),10}");
        foreach (SorsaMemoryRemedy remedy in Remedies)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"  with {remedy.Change}: peak {ByteText.Of(remedy.Peak)}");
        }

        return text.ToString();
    }

    /// <summary>The parts by their names, for people.</summary>
    internal IEnumerable<(string Name, long Bytes)> Parts =>
    [
        ("weights", Weights), ("adapters", Adapters), ("moments", Moments), ("gradients", Gradients), ("best weights", BestWeights),
        ("activations", Activations), ("logits", Logits),
    ];

    private IEnumerable<(string Name, long Bytes)> Phases =>
    [
        ("most while it is loaded", StartPeak), ("most in a step", StepPeak), ("most in validation", ValidationPeak),
        ("most at the end", EndPeak),
    ];
}

/// <summary>A change of the options that would make a training take less memory.</summary>
public sealed class SorsaMemoryRemedy
{
    internal SorsaMemoryRemedy(string change, long peak) => (Change, Peak) = (change, peak);

    /// <summary>The options and their values, such as <c>GradientCheckpointing = true</c>.</summary>
    public string Change { get; }

    /// <summary>Bytes, as <see cref="SorsaMemoryEstimate.Peak"/>, with this change.</summary>
    public long Peak { get; }
}
