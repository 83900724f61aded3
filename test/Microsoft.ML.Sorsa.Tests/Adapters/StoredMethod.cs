using Microsoft.ML.Sorsa.Adapters;
using TorchSharp.Modules;

namespace Microsoft.ML.Sorsa.Tests.Adapters;

/// <summary>A method whose adapters a test makes itself; what happens beside the loss is another method's, or nothing.</summary>
internal sealed class StoredMethod(Func<string, Linear, Adapter> create, AdapterMethod? rules = null) : AdapterMethod
{
    public override MethodDescriptor? Method => rules?.Method;

    public override OrthonormalityPenalty? Penalty => rules?.Penalty;

    public override bool TrainsEveryWeight => rules?.TrainsEveryWeight ?? false;

    public override Adapter Create(string path, Linear linear) => create(path, linear);

    public override void AfterStep(IReadOnlyList<Adapter> adapters, int step) => rules?.AfterStep(adapters, step);
}
