using Mono.Cecil;
using Mono.Cecil.Cil;

namespace Microsoft.ML.Sorsa.Tests;

/// <summary>
/// Which types a compiled type mentions: in its bases, attributes, members, signatures and method bodies, generic arguments included,
/// those of its nested types too. (NetArchTest.Rules passes over every assembly whose namespaces begin with Microsoft.)
/// </summary>
internal static class TypeDependencies
{
    /// <summary>Full names by the full name of each type that is not nested.</summary>
    public static IReadOnlyDictionary<string, IReadOnlySet<string>> Of(string assembly)
    {
        using var module = ModuleDefinition.ReadModule(assembly);
        var found = new SortedDictionary<string, IReadOnlySet<string>>(StringComparer.Ordinal);
        foreach (TypeDefinition type in module.Types)
        {
            var names = new SortedSet<string>(StringComparer.Ordinal);
            Visit(type, names);
            found[type.FullName] = names;
        }

        return found;
    }

    private static void Visit(TypeDefinition type, SortedSet<string> names)
    {
        Add(type.BaseType, names);
        AddAttributes(type, names);
        foreach (InterfaceImplementation implemented in type.Interfaces)
        {
            Add(implemented.InterfaceType, names);
        }

        foreach (FieldDefinition field in type.Fields)
        {
            Add(field.FieldType, names);
            AddAttributes(field, names);
        }

        foreach (PropertyDefinition property in type.Properties)
        {
            AddAttributes(property, names);
        }

        foreach (MethodDefinition method in type.Methods)
        {
            AddSignature(method, names);
            AddAttributes(method, names);
            if (method.HasBody)
            {
                AddBody(method.Body, names);
            }
        }

        IEnumerable<GenericParameter> parameters = type.GenericParameters
            .Concat(type.Methods.SelectMany(method => method.GenericParameters));
        foreach (GenericParameterConstraint constraint in parameters.SelectMany(parameter => parameter.Constraints))
        {
            Add(constraint.ConstraintType, names);
        }

        foreach (TypeDefinition nested in type.NestedTypes)
        {
            Visit(nested, names);
        }
    }

    private static void AddBody(MethodBody body, SortedSet<string> names)
    {
        foreach (VariableDefinition variable in body.Variables)
        {
            Add(variable.VariableType, names);
        }

        foreach (ExceptionHandler handler in body.ExceptionHandlers)
        {
            Add(handler.CatchType, names);
        }

        foreach (Instruction instruction in body.Instructions)
        {
            switch (instruction.Operand)
            {
                case TypeReference type:
                    Add(type, names);
                    break;
                case FieldReference field:
                    Add(field.DeclaringType, names);
                    Add(field.FieldType, names);
                    break;
                case MethodReference method:
                    Add(method.DeclaringType, names);
                    AddSignature(method, names);
                    break;
            }
        }
    }

    private static void AddSignature(MethodReference method, SortedSet<string> names)
    {
        Add(method.ReturnType, names);
        foreach (ParameterDefinition parameter in method.Parameters)
        {
            Add(parameter.ParameterType, names);
        }

        if (method is GenericInstanceMethod generic)
        {
            foreach (TypeReference argument in generic.GenericArguments)
            {
                Add(argument, names);
            }
        }
    }

    private static void AddAttributes(ICustomAttributeProvider member, SortedSet<string> names)
    {
        foreach (CustomAttribute attribute in member.CustomAttributes)
        {
            Add(attribute.AttributeType, names);
            foreach (TypeReference named in attribute.ConstructorArguments.Select(argument => argument.Value).OfType<TypeReference>())
            {
                Add(named, names);
            }
        }
    }

    private static void Add(TypeReference? type, SortedSet<string> names)
    {
        switch (type)
        {
            case null or GenericParameter:
                break;
            case GenericInstanceType generic:
                Add(generic.ElementType, names);
                foreach (TypeReference argument in generic.GenericArguments)
                {
                    Add(argument, names);
                }

                break;
            case TypeSpecification specification:
                Add(specification.ElementType, names);
                break;
            default:
                // A nested type counts as the one it is nested in.
                names.Add(type.DeclaringType is null ? type.FullName : Outermost(type).FullName);
                break;
        }
    }

    private static TypeReference Outermost(TypeReference type) => type.DeclaringType is { } outer ? Outermost(outer) : type;
}
