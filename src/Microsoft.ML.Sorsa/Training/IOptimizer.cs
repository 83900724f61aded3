using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Training;

/// <summary>Updates the trained tensors from their gradients. All that the loop knows of an optimizer.</summary>
internal interface IOptimizer : IDisposable
{
    /// <summary>What it remembers between two steps, by name; the optimizer owns the tensors. Whoever resumes writes into them.</summary>
    IEnumerable<KeyValuePair<string, Tensor>> State { get; }

    /// <summary>One update with the gradients that are set.</summary>
    /// <param name="learningRate">η_t.</param>
    void Step(double learningRate);

    /// <summary>Drops the gradients; the next backward makes its own.</summary>
    void ZeroGrad();
}
