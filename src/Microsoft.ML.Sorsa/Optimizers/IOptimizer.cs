using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Optimizers;

/// <summary>Updates the trained tensors from their gradients. All that the loop knows of an optimizer.</summary>
internal interface IOptimizer : IDisposable
{
    /// <summary>What it remembers between two steps, by name; the optimizer owns the tensors. Whoever resumes writes into them.</summary>
    IEnumerable<KeyValuePair<string, Tensor>> State { get; }

    /// <summary>
    /// Gets ready for a step, before anything of it is computed and before a state that was saved in front of it is put back: what takes a
    /// gradient in it, and what <see cref="State"/> consists of. One that was just made is ready for step 0.
    /// </summary>
    /// <param name="step">Counted from 0.</param>
    void Prepare(int step);

    /// <summary>One update with the gradients that are set.</summary>
    /// <param name="learningRate">η_t.</param>
    void Step(double learningRate);

    /// <summary>Drops the gradients; the next backward makes its own.</summary>
    void ZeroGrad();
}
