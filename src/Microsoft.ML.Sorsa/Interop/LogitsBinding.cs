using System.Linq.Expressions;
using System.Reflection;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Interop;

/// <summary>
/// From a model object to its function from token ids int64 [B, T] to logits [B, T, vocabulary]. Two shapes of class are understood: a
/// <c>Module&lt;Tensor, Tensor&gt;</c>, and one with a public <c>forward(input)</c> whose result has a property <c>Logits</c> and whose
/// input is made from <c>inputIds</c> alone, as in ML.NET GenAI, whose package is not needed.
/// </summary>
internal static class LogitsBinding
{
    private const string Forward = "forward";
    private const string Logits = "Logits";
    private const string InputIds = "inputIds";
    private const string UseCache = "useCache";

    /// <exception cref="NotSupportedException">The class has neither shape.</exception>
    public static Func<Tensor, Tensor?> Of(nn.Module module) => module is nn.Module<Tensor, Tensor> plain
        ? plain.call
        : Compiled(module) ?? throw new NotSupportedException(
            $"The model class {module.GetType()} has no shape that is understood. It must be a Module<Tensor, Tensor> from token ids "
            + $"[B, T] to logits [B, T, vocabulary], or have a public {Forward}(input) whose result has a property {Logits} of type "
            + $"Tensor and whose input has a public constructor with a parameter {InputIds} and defaults for the others (as ML.NET "
            + "GenAI's LlamaForCausalLM and MistralForCausalLM). For any other class, give a delegate "
            + "Func<Tensor, Tensor> from token ids to logits.");

    /// <summary>
    /// ids => module.forward(new Input(inputIds: ids, useCache: false)).Logits, compiled; null where there is no such method.
    /// </summary>
    private static Func<Tensor, Tensor?>? Compiled(nn.Module module)
    {
        foreach (MethodInfo forward in module.GetType().GetMethods()
            .Where(method => method.Name == Forward && method.GetParameters().Length == 1))
        {
            PropertyInfo? logits = forward.ReturnType.GetProperty(Logits, typeof(Tensor));
            ConstructorInfo? input = forward.GetParameters()[0].ParameterType.GetConstructors()
                .Where(MadeFromIds)
                .MaxBy(candidate => candidate.GetParameters().Length);
            if (logits is not null && input is not null)
            {
                ParameterExpression ids = Expression.Parameter(typeof(Tensor));
                Expression made = Expression.New(input, input.GetParameters().Select(parameter => Argument(parameter, ids)));
                Expression body = Expression.Property(Expression.Call(Expression.Constant(module), forward, made), logits);
                return Expression.Lambda<Func<Tensor, Tensor?>>(body, ids).Compile();
            }
        }

        return null;
    }

    private static bool MadeFromIds(ConstructorInfo constructor)
    {
        ParameterInfo[] parameters = constructor.GetParameters();
        return parameters.Any(IsInputIds)
            && parameters.All(parameter => IsInputIds(parameter) || IsUseCache(parameter) || parameter.HasDefaultValue);
    }

    /// <summary>Labels among the rest: a model's own loss is never asked for.</summary>
    private static Expression Argument(ParameterInfo parameter, Expression ids) =>
        IsInputIds(parameter) ? ids
        : IsUseCache(parameter) ? Expression.Constant(false)
        : parameter.DefaultValue is { } value ? Expression.Constant(value, parameter.ParameterType)
        : Expression.Default(parameter.ParameterType);

    private static bool IsInputIds(ParameterInfo parameter) => IsNamed(parameter, InputIds) && parameter.ParameterType == typeof(Tensor);

    private static bool IsUseCache(ParameterInfo parameter) => IsNamed(parameter, UseCache) && parameter.ParameterType == typeof(bool);

    /// <summary>A record's parameters are written as its properties are.</summary>
    private static bool IsNamed(ParameterInfo parameter, string name) =>
        string.Equals(parameter.Name, name, StringComparison.OrdinalIgnoreCase);
}
